import pathlib

import bentoml
from bentoml.io import JSON

factor = bentoml.models.get("factor:latest")


class Multiplying(bentoml.Runnable):
    SUPPORTED_RESOURCES = ("cpu",)
    SUPPORTS_CPU_MULTI_THREADING = False

    def __init__(self):
        with pathlib.Path(factor.path_of("factor")).open() as file:
            self.factor = float(file.read())

    @bentoml.Runnable.method(batchable=False)
    def multiply(self, numbers):
        return [each * self.factor for each in numbers]


runner = bentoml.Runner(Multiplying, name="multiplying", models=[factor])
svc = bentoml.Service("runner", runners=[runner])


@svc.api(input=JSON(), output=JSON())
async def predict(asked):
    return await runner.multiply.async_run(asked["numbers"])
