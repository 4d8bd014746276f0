"""What a version of a BentoML home says of itself: as the client (1.4) says it at a push."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.bentohome import BENTO, MODEL, OLD, bento, content, found, model, put

NEEDED: Final = [
    {
        "tag": "iris:m1",
        "module": "bentoml.sklearn",
        "creation_time": "2026-11-20 10:08:51.000000",
        "alias": None,
        "registry": "bentoml",
        "metadata": None,
    },
    {
        "tag": "org--big:m2",
        "module": None,
        "creation_time": None,
        "alias": None,
        "registry": "huggingface",
        "metadata": {"model_id": "org/big"},
    },
]
NOWHERE: Final = {"service": None, "deployment": None, "cluster": None, "url": None}
MANIFEST: Final[dict[str, Any]] = {
    "service": "service:Fraud",
    "name": "fraud",
    "version": "b1",
    "bentoml_version": "1.4.39",
    "entry_service": "Fraud",
    "apis": {},
    "models": ["iris:m1", "org--big:m2"],
    "runners": [],
    "services": [
        {
            "name": "Fraud",
            "service": "",
            "models": NEEDED,
            "dependencies": [
                NOWHERE | {"service": "Inner"},
                NOWHERE | {"url": "https://elsewhere.example"},
            ],
            "config": {"workers": 1},
        }
    ],
    "envs": [{"name": "STAGE", "value": "", "stage": "all"}],
    "schema": {"name": "Fraud", "type": "service"},
    "dev": False,
    "image": {
        "base_image": "python:3.11-slim",
        "python_version": "3.11",
        "commands": [],
        "python_requirements": "",
        "post_commands": [],
        "build_include": [],
    },
    "spec": 2,
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "bentos").mkdir(parents=True)
    return tmp_path / "home"


def test_a_model_is_described_as_its_client_describes_it(home: Path) -> None:
    folder = model(home)
    item = found(home)[0]["model iris:m1"][0]
    size = (folder / "model.yaml").stat().st_size + 100
    assert item.manifest == {
        "module": "bentoml.sklearn",
        "api_version": "v1",
        "bentoml_version": "1.4.39",
        "size_bytes": size,
        "metadata": {"accuracy": 0.9, "trained": "2026-11-20 09:00:00.000000"},
        "context": {
            "framework_name": "sklearn",
            "framework_versions": {"scikit-learn": "1.9.1"},
            "bentoml_version": "1.4.39",
            "python_version": "3.11.7",
        },
        "options": {},
    }
    assert (item.labels, item.description) == ({"team": "lab", "tries": "3"}, "")
    assert item.build_at == "2026-11-20 10:08:51.884062"


def test_a_bento_is_described_as_its_client_describes_it(home: Path) -> None:
    beside = model(home)
    folder = bento(home)
    item = found(home)[0]["bento fraud:b1"][0]
    size = sum(
        each.stat().st_size for top in (folder, beside) for each in top.rglob("*") if each.is_file()
    )
    assert item.manifest == MANIFEST | {"size_bytes": size}
    assert item.description == "# Frauds"


def test_a_bento_of_an_old_client_brings_the_models_in_it(home: Path) -> None:
    folder = bento(home, "o1", OLD)
    put(folder / "models" / "score" / "o1", "model.yaml", MODEL, weights="old")
    put(folder / "models" / "iris" / "m1", "model.yaml", MODEL, weights="another copy")
    (folder / "models" / "score" / "latest").write_text("o1")
    model(home)
    versions, broken = found(home)
    assert (list(versions), broken) == (
        ["model iris:m1", "model score:o1", "bento fraud:o1"],
        {},
    )
    manifest = versions["bento fraud:o1"][0].manifest
    assert manifest["models"] == ["iris:m1", "score:o1"]
    assert (manifest["spec"], manifest["image"]) == (1, None)
    [runner] = manifest["runners"]
    assert runner == {
        "name": "score",
        "runnable_type": "Scorer",
        "models": ["score:o1"],
        "resource_config": {"cpu": None, "nvidia_gpu": 1, "custom_resources": None},
    }
    assert b"./models" not in content(home, "bento fraud:o1")
    assert b"w" * 100 in content(home, "model iris:m1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name: [", "no YAML"),
        ("- a", "malformed"),
        ("name: iris\nversion: bad\n", "creation_time"),
        (MODEL.replace("VERSION", "another"), "that of iris:another"),
        (MODEL.replace("0.9", ".nan"), "JSON"),
        (MODEL.replace("0.9", "!!binary aGk="), "JSON"),
        (MODEL.replace("0.9", "&a [*a]"), "JSON"),
    ],
)
def test_a_broken_description_is_told_and_keeps_no_other_back(
    home: Path, text: str, why: str
) -> None:
    model(home)
    put(home / "models" / "iris" / "bad", "model.yaml", text)
    versions, broken = found(home)
    assert list(versions) == ["model iris:m1"]
    assert why in broken["model iris:bad"]


def test_what_has_no_description_is_told(home: Path) -> None:
    (home / "bentos" / "fraud" / "empty").mkdir(parents=True)
    (home / "bentos" / "fraud" / "odd" / "bento.yaml").mkdir(parents=True)
    assert found(home)[1] == {
        "bento fraud:empty": "it has no bento.yaml",
        "bento fraud:odd": "its bento.yaml cannot be read: Is a directory",
    }


def test_a_tag_of_a_bento_is_no_path(home: Path) -> None:
    (home / "models").mkdir()
    (home.parent / "elsewhere").mkdir()
    (home.parent / "elsewhere" / "large").write_text("l" * 10_000)
    folder = bento(home, text=BENTO.replace("iris:m1", "../..:elsewhere"))
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    assert found(home)[0]["bento fraud:b1"][0].manifest["size_bytes"] == size
