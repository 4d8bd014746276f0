import bentoml


@bentoml.service(name="xgboost_bento", workers=1)
class Sides:
    def __init__(self) -> None:
        import numpy
        import xgboost

        numbers = numpy.arange(100.0).reshape(-1, 1)
        self.numpy = numpy
        self.fitted = xgboost.XGBClassifier(n_estimators=4).fit(numbers, numbers[:, 0] > 49)

    @bentoml.api
    def predict(self, numbers: list[float]) -> list[int]:
        asked = self.numpy.array(numbers).reshape(-1, 1)
        return [int(each) for each in self.fitted.predict(asked)]
