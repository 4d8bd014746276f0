import bentoml


@bentoml.service(name="service_12", workers=1)
class Said:
    @bentoml.api
    def predict(self, text: str) -> str:
        return text[::-1]
