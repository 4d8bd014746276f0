import bentoml


@bentoml.service(name="lightgbm_bento", workers=1)
class Sides:
    def __init__(self) -> None:
        import lightgbm
        import numpy

        numbers = numpy.arange(400.0).reshape(-1, 1)
        data = lightgbm.Dataset(numbers, label=(numbers[:, 0] > 199).astype(int))
        told = {"objective": "binary", "verbose": -1, "num_threads": 1}
        self.numpy = numpy
        self.fitted = lightgbm.train(told, data, num_boost_round=10)

    @bentoml.api
    def predict(self, numbers: list[float]) -> list[int]:
        asked = self.numpy.array(numbers).reshape(-1, 1)
        return [int(each > 0.5) for each in self.fitted.predict(asked)]
