import hashlib
from pathlib import Path

import bentoml


@bentoml.service(name="large_model", workers=1)
class Weighing:
    model = bentoml.models.BentoModel("large:latest")

    @bentoml.api
    def predict(self) -> dict:
        weights = Path(bentoml.models.get(self.model.tag).path, "weights")
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"size": weights.stat().st_size, "digest": digest}
