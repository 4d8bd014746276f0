"""What a version says of itself in its own folder, told as the BentoML client tells it at a push.

The fields and their defaults are those of client 1.4; what they mean is not looked at.
"""

import json
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from yaml import CSafeLoader, YAMLError, load

from cli.errors import CommandError

_TIME: Final = "%Y-%m-%d %H:%M:%S.%f"
_LARGEST: Final = 8 * 2**20
_LARGEST_README: Final = 3 * 2**20
_V2: Final = 2

_D = TypeVar("_D", bound="Description")
_Text = Annotated[str, BeforeValidator(lambda said: "" if said is None else said)]
_Moment = Annotated[datetime, PlainSerializer(lambda at: at.strftime(_TIME))]
_Objects = Annotated[dict[str, Any], BeforeValidator(lambda said: said or {})]


class _Said(BaseModel):
    """Keys that are not known here are not sent by the client either."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, frozen=True)


class _Needed(_Said):
    """A model that a bento needs."""

    tag: str
    module: str | None = None
    creation_time: _Moment | None = None
    alias: str | None = None
    registry: str = "bentoml"
    metadata: dict[str, Any] | None = None


class _Dependency(_Said):
    service: str | None = None
    deployment: str | None = None
    cluster: str | None = None
    url: str | None = None


def _tagged(said: Any) -> Any:
    """Before 1.0 a model was its tag alone."""
    return {"tag": said, "module": "unknown"} if isinstance(said, str) else said


def _named(said: Any) -> Any:
    """In 1.2 a dependency was the name of a service alone."""
    return {"service": said} if isinstance(said, str) else said


_Models = list[Annotated[_Needed, BeforeValidator(_tagged)]]


class _Service(_Said):
    name: str
    service: _Text = ""
    models: _Models = []
    dependencies: list[Annotated[_Dependency, BeforeValidator(_named)]] = []
    config: _Objects = {}


class _Env(_Said):
    name: str
    value: _Text = ""
    stage: str = "all"


class _Image(_Said):
    base_image: str = ""
    python_version: str = ""
    commands: list[str] = []
    python_requirements: str = ""
    post_commands: list[str] = []
    build_include: list[str] = []


class _Resources(_Said):
    cpu: Any = None
    nvidia_gpu: Any = Field(default=None, validation_alias="nvidia.com/gpu")
    custom_resources: Any = None


class _Runner(_Said):
    name: str
    runnable_type: str | None = Field(
        default=None, validation_alias=AliasChoices("runnable_type", "runner_type")
    )
    models: list[str] = []
    resource_config: Annotated[_Resources | None, BeforeValidator(lambda said: said or None)] = None


class Description(_Said):
    """What ``bento.yaml`` and ``model.yaml`` have in common."""

    name: str
    version: str
    creation_time: _Moment
    labels: _Objects = {}

    @property
    def build_at(self) -> str:
        return self.creation_time.strftime(_TIME)

    @property
    def said_labels(self) -> dict[str, str]:
        return {str(key): str(value) for key, value in self.labels.items()}


class BentoDescription(Description):
    service: str
    bentoml_version: str = ""
    entry_service: _Text = ""
    models: _Models = []
    runners: list[_Runner] = []
    services: list[_Service] = []
    envs: list[_Env] = []
    routes: _Objects = Field(default={}, validation_alias="schema", serialization_alias="schema")
    image: _Image = _Image()
    spec: int = 1

    @property
    def needed(self) -> dict[str, str]:
        """Tags of models, with the registries that have them."""
        of_services = [model for service in self.services for model in service.models]
        return {model.tag: model.registry for model in [*self.models, *of_services]}

    def manifest(self, *, size_bytes: int) -> dict[str, Any]:
        kept = {"creation_time", "labels", "models", "image", "runners"}
        is_v2 = self.spec == _V2
        told = self.model_dump(by_alias=True, exclude=kept)
        return _plain(
            told
            | {
                "apis": {},
                "models": list(self.needed),
                "runners": [] if is_v2 else [each.model_dump() for each in self.runners],
                "image": self.image.model_dump() if is_v2 else None,
                "size_bytes": size_bytes,
                "dev": False,
            }
        )


class _Context(_Said):
    framework_name: str = ""
    framework_versions: _Objects = {}
    bentoml_version: str = ""
    python_version: str = ""


class ModelDescription(Description):
    module: _Text = ""
    api_version: str = "v1"
    metadata: _Objects = {}
    options: _Objects = {}
    context: _Context = _Context()

    def manifest(self, *, size_bytes: int) -> dict[str, Any]:
        told = self.model_dump(include={"module", "api_version", "metadata", "context"})
        return _plain(
            told
            | {
                "bentoml_version": self.context.bentoml_version,
                "options": self.options if self.module else {},
                "size_bytes": size_bytes,
            }
        )


def bento_in(folder: Path) -> BentoDescription:
    return _described(folder / "bento.yaml", BentoDescription)


def model_in(folder: Path) -> ModelDescription:
    return _described(folder / "model.yaml", ModelDescription)


def readme_of(folder: Path) -> str:
    """The client leaves out what is too large for a description."""
    file = folder / "README.md"
    if not file.exists() or file.stat().st_size > _LARGEST_README:
        return ""
    return file.read_text(encoding="utf-8")


def size_of(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.glob("**/*") if each.is_file())


def _described(file: Path, form: type[_D]) -> _D:
    """Raises ``CommandError`` where the file is not there, or is none."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise CommandError(f"it has no {file.name}") from error
    except OSError as error:
        raise CommandError(f"its {file.name} cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise CommandError(f"its {file.name} is larger than {_LARGEST} bytes")
    try:
        return form.model_validate(load(content, Loader=CSafeLoader))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "all of it"
        raise CommandError(f"its {file.name} is malformed: {where}: {first['msg']}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise CommandError(f"its {file.name} is no YAML") from error


def _plain(manifest: dict[str, Any]) -> dict[str, Any]:
    """As it travels. Raises ``CommandError`` where JSON has no word for something."""
    try:
        told: dict[str, Any] = json.loads(json.dumps(manifest, allow_nan=False, default=_word))
    except (TypeError, ValueError, RecursionError) as error:
        raise CommandError(f"its description cannot be told in JSON: {error}") from error
    return told


def _word(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime(_TIME)
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")
