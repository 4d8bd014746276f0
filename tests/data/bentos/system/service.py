import subprocess

import bentoml


@bentoml.service(name="system_packages", workers=1)
class Drawing:
    @bentoml.api
    def predict(self, text: str) -> str:
        done = subprocess.run(["rev"], input=text, capture_output=True, text=True, check=True)
        return done.stdout
