import os

import bentoml


@bentoml.service(name="envs", workers=1)
class Variables:
    @bentoml.api
    def predict(self) -> dict:
        return {name: os.environ.get(name) for name in ("EVER", "BUILDING", "RUNNING", "QUOTED")}
