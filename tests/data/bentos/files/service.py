from pathlib import Path

import bentoml

HERE = Path(__file__).parent


@bentoml.service(name="odd_files", workers=1)
class Reading:
    @bentoml.api
    def predict(self) -> dict:
        return {
            path.relative_to(HERE).as_posix(): path.read_text()
            for path in sorted(HERE.joinpath("odd").rglob("*"))
            if path.is_file()
        }
