from pathlib import Path

import bentoml

image = (
    bentoml.images.Image(python_version="3.11")
    .python_packages("humanize==4.9.0")
    .run('python -c \'import humanize; open("/opt/said", "w").write(humanize.intword(10**6))\'')
)


@bentoml.service(name="command_after", workers=1, image=image)
class Said:
    @bentoml.api
    def predict(self) -> str:
        return Path("/opt/said").read_text()
