import bentoml


@bentoml.service(name="sklearn_bento", workers=1)
class Doubling:
    model = bentoml.models.BentoModel("doubling:latest")

    def __init__(self) -> None:
        self.fitted = bentoml.sklearn.load_model(self.model)

    @bentoml.api
    def predict(self, numbers: list[float]) -> list[float]:
        return [round(float(each), 6) for each in self.fitted.predict([[x] for x in numbers])]
