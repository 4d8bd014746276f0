import os

import bentoml


@bentoml.service(workers=1)
class Adding:
    @bentoml.api
    def add(self, number: float, more: float) -> dict:
        return {"sum": number + more, "by": os.getpid()}


@bentoml.service(name="two_services", workers=1)
class Front:
    adding = bentoml.depends(Adding)

    @bentoml.api
    def predict(self, number: float) -> dict:
        answer = self.adding.add(number=number, more=1.0)
        return {"sum": answer["sum"], "elsewhere": answer["by"] != os.getpid()}
