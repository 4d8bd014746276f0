import bentoml


@bentoml.service(name="with_conda", workers=1)
class Said:
    @bentoml.api
    def predict(self, text: str) -> str:
        return text
