"""BentoML homes, written by hand: as the client leaves them, and as it never would."""

from pathlib import Path
from textwrap import dedent
from typing import Final

from cli.carry.format import Item
from cli.carry.home import HomeSource
from cli.carry.progress import Lines
from cli.carry.sources import Broken, Content

MODEL: Final = """
    name: NAME
    version: VERSION
    module: bentoml.sklearn
    labels: {team: lab, tries: 3}
    options: {}
    metadata: {accuracy: 0.9, trained: 2026-11-20 09:00:00}
    context:
      framework_name: sklearn
      framework_versions: {scikit-learn: 1.9.1}
      bentoml_version: 1.4.39
      python_version: 3.11.7
    signatures: {predict: {batchable: false}}
    api_version: v1
    creation_time: '2026-11-20T10:08:51.884062+00:00'
"""

BENTO: Final = """
    service: service:Fraud
    name: NAME
    version: VERSION
    bentoml_version: 1.4.39
    creation_time: '2026-11-20T10:09:03.538404+00:00'
    labels: {}
    models: []
    entry_service: Fraud
    services:
    - name: Fraud
      service: ''
      models:
      - {tag: 'iris:m1', module: bentoml.sklearn, creation_time: '2026-11-20T10:08:51+00:00'}
      - {tag: 'org--big:m2', registry: huggingface, metadata: {model_id: org/big}}
      dependencies:
      - service: Inner
      - url: https://elsewhere.example
      config: {workers: 1}
    envs:
    - name: STAGE
    schema: {name: Fraud, type: service}
    args: {size: big}
    spec: 2
    image:
      base_image: python:3.11-slim
      python_version: '3.11'
"""

OLD: Final = """
    service: service.py:svc
    name: NAME
    version: VERSION
    bentoml_version: 1.0.25
    creation_time: '2023-01-02T03:04:05.000006+00:00'
    labels: {team: old}
    models: ['iris:m1', 'score:o1']
    runners:
    - name: score
      runner_type: Scorer
      models: ['score:o1']
      resource_config: {nvidia.com/gpu: 1}
    apis: [{name: predict, input_type: JSON, output_type: JSON}]
    docker: {distro: debian}
"""


def put(folder: Path, file: str, text: str, **files: str) -> Path:
    """A version's folder with its description and other files (``__`` is a slash)."""
    name, version = folder.parts[-2:]
    folder.mkdir(parents=True)
    said = dedent(text).replace("NAME", name).replace("VERSION", version)
    (folder / file).write_text(said)
    for place, content in files.items():
        path = folder / place.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def model(home: Path, version: str = "m1", name: str = "iris") -> Path:
    return put(home / "models" / name / version, "model.yaml", MODEL, weights="w" * 100)


def bento(home: Path, version: str = "b1", text: str = BENTO) -> Path:
    files = {"README": "no", "src__service": "import bentoml", "src__a": "", "src__B": ""}
    folder = put(home / "bentos" / "fraud" / version, "bento.yaml", text, **files)
    (folder / "README.md").write_text("# Frauds")
    return folder


def found(
    home: Path, kinds: tuple[str, ...] = ("model", "bento"), match: str = "*"
) -> tuple[dict[str, tuple[Item, Content]], dict[str, str]]:
    versions: dict[str, tuple[Item, Content]] = {}
    broken = {}
    for each in HomeSource(home, kinds=kinds, match=match).items():
        if isinstance(each, Broken):
            broken[each.tag] = each.why
        else:
            versions[each[0].tag] = each
    return versions, broken


def content(home: Path, tag: str) -> bytes:
    with found(home)[0][tag][1](Lines()) as file:
        return file.read()
