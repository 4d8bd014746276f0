"""Every line of the client, each in an environment of its own: what one pushes, any can pull."""

import filecmp
from pathlib import Path

import pytest

from tests.support.bentoml_client import client_python
from tests.support.bentos import Client, source
from tests.support.platform import LocalPlatform

pytestmark = pytest.mark.timeout(300)

LINES = ("1.0", "1.1", "1.2", "1.3", "1.4")
_MODEL = """
import bentoml, os
from bentoml._internal.models.model import ModelContext
context = ModelContext(framework_name="none", framework_versions={{}})
told = dict(module="json", signatures={{}}, context=context, labels={{"by": {line!r}}})
with bentoml.models.create({name!r}, metadata={{"accuracy": 0.9}}, **told) as model:
    with open(model.path_of("weights.bin"), "wb") as file:
        file.write(os.urandom(300_000))
print("__tag__:" + str(model.tag))
"""
_LEGACY = """
import bentoml
from bentoml.io import JSON

svc = bentoml.Service("NAME")


@svc.api(input=JSON(), output=JSON())
def say(text):
    return text
"""
_SERVICE = """
import bentoml


@bentoml.service
class Said:
    @bentoml.api
    def say(self, text: str) -> str:
        return text
"""


def client_of(line: str, platform: LocalPlatform, home: Path) -> Client:
    made = Client(client_python(line), home)
    made.home.mkdir(parents=True, exist_ok=True)
    made.login(platform.url, platform.token)
    return made


def model_of(client: Client, line: str) -> str:
    made = client.script(_MODEL.format(name=f"weights_{line.replace('.', '_')}", line=line))
    return made.partition("__tag__:")[2].split()[0]


def built(client: Client, line: str, folder: Path) -> str:
    """The tag of a bento as this line of the client has them."""
    name = f"said_{line.replace('.', '_')}"
    legacy = line in {"1.0", "1.1"}
    code = _LEGACY.replace("NAME", name) if legacy else _SERVICE
    described = f"service: 'service:{'svc' if legacy else 'Said'}'\nname: {name}\n"
    source(folder, code, bentofile=described)
    said = client.run("build", ".", cwd=folder)
    folders = sorted((client.home / "bentos" / name).iterdir())
    versions = [each.name for each in folders if each.is_dir()]
    assert versions, said
    return f"{name}:{versions[-1]}"


def same_tree(one: Path, other: Path) -> bool:
    compared = filecmp.dircmp(one, other, ignore=["__pycache__"])
    return not _differences(compared)


def _differences(compared: "filecmp.dircmp[str]") -> list[str]:
    found = [*compared.left_only, *compared.right_only, *compared.diff_files]
    for each in compared.subdirs.values():
        found += _differences(each)
    return found


@pytest.mark.parametrize("strategy", ["proxy", "presigned", "multipart"])
@pytest.mark.parametrize("line", LINES)
def test_models_and_bentos_are_pushed_and_pulled(
    platform: LocalPlatform, tmp_path: Path, line: str, strategy: str
) -> None:
    body = {"transmission_strategy": strategy}
    assert platform.request("PUT", "/api/registry/settings", body)[0] == 200
    try:
        client = client_of(line, platform, tmp_path / "one")
        model = model_of(client, line)
        client.run("models", "push", model)
        bento = built(client, line, tmp_path / "source")
        client.run("push", bento)
        for kind, tag in (("model", model), ("bento", bento)):
            name, _, version = tag.partition(":")
            path = f"/api/v1/{kind}_repositories/{name}/{kind}s/{version}"
            assert platform.request("GET", path)[1]["upload_status"] == "success", tag

        puller = client_of("1.4", platform, tmp_path / "two")
        if line != "1.0":  # its `models pull` fails in the client: docs/clients.md
            puller = client_of(line, platform, tmp_path / "three")
        for command, kind, tag in (
            (("models", "pull"), "models", model),
            (("pull",), "bentos", bento),
        ):
            puller.run(*command, tag)
            inside = Path(kind, *tag.split(":"))
            assert same_tree(client.home / inside, puller.home / inside), tag
    finally:
        body = {"transmission_strategy": "proxy"}
        platform.request("PUT", "/api/registry/settings", body)
