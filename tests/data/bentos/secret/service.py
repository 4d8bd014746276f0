import os
from pathlib import Path

import bentoml

USED = """sh -c 'echo "asked with $HUB_TOKEN"; printf %s "$HUB_TOKEN" | sha256sum > /opt/used'"""
image = bentoml.images.Image(python_version="3.11").run(USED)


@bentoml.service(name="secret_of_a_command", workers=1, image=image)
class Opened:
    @bentoml.api
    def predict(self) -> dict:
        kept = Path("/run/secrets/HUB_TOKEN").exists() or "HUB_TOKEN" in os.environ
        return {"used": Path("/opt/used").read_text().split()[0], "kept": kept}
