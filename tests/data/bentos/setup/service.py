from pathlib import Path

import bentoml


@bentoml.service(name="setup_script", workers=1)
class Told:
    @bentoml.api
    def predict(self) -> str:
        return Path("/opt/told").read_text().strip()
