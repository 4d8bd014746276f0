"""An image before it is made: its plan, whose digest names it, and its OCI documents. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from packaging.utils import canonicalize_name

from libs.contracts.mediatypes import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from services.builder.domain import Asked, BaseImage, BasePython, Layer, Model
from services.builder.plan.digest import FORMAT, digest
from services.builder.plan.lock import Locked

HOME: Final = "/home/bentoml"
BENTO: Final = f"{HOME}/bento"
VENV: Final = "/app/.venv"
USER: Final = "bentoml"
UID: Final = 1034
ENTRYPOINT: Final = f"{BENTO}/env/docker/entrypoint.sh"
"""Same paths, user and ports as in the containers that BentoML itself makes."""

_EPOCH: Final = "1970-01-01T00:00:00Z"
_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """Everything that goes into one platform's image. Two that are equal give the same bytes."""

    format: int
    platform: str
    base: str
    base_digest: str
    libc: str
    python: BasePython
    lock: str
    """Digest of the packages, with versions and hashes."""
    bento: str
    models: tuple[Model, ...]
    env: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        return digest(asdict(self))

    @property
    def packages_key(self) -> str:
        """Names the layers of packages, which many bentos share."""
        return digest([self.format, self.lock, self.python.version, self.platform, self.libc])

    def group_key(self, lock: Sequence[Locked], names: Sequence[str]) -> str:
        """Names a layer of some of them, ``name==version``, by the files that each may be of.

        Found by name alone: the version of one from an address is not what the lock says.
        """
        hashes = {each.name: each.hashes for each in lock}
        inside = [
            [each, hashes.get(canonicalize_name(each.partition("==")[0]), ())] for each in names
        ]
        of = [self.python.minor, self.platform, self.libc]
        return digest([FORMAT, "packages", *of, inside])


def plan_image(
    asked: Asked,
    base: BaseImage,
    python: BasePython,
    *,
    lock: Sequence[Locked],
    bento: str,
    models: Sequence[Model],
    name: str,
) -> ImagePlan:
    """``bento`` is the digest of its archive."""
    return ImagePlan(
        format=FORMAT,
        platform=base.platform,
        base=base.reference,
        base_digest=base.digest,
        libc=base.libc,
        python=python,
        lock=digest([asdict(each) for each in lock]),
        bento=bento,
        models=tuple(sorted(models, key=lambda each: (each.repository, each.version))),
        env=tuple(_env(asked, base)),
        labels=tuple(sorted({**dict(base.labels), **_labels(asked, name)}.items())),
    )


def config_of(plan: ImagePlan, layers: Sequence[Layer]) -> bytes:
    """``layers`` with those of the base image, in order."""
    system, _, architecture = plan.platform.partition("/")
    return _json(
        {
            "created": _EPOCH,
            "architecture": architecture,
            "os": system,
            "config": {
                "User": USER,
                "ExposedPorts": {"3000/tcp": {}, "3001/tcp": {}},
                "Env": [f"{name}={value}" for name, value in plan.env],
                "Entrypoint": [ENTRYPOINT],
                "WorkingDir": BENTO,
                "Labels": dict(plan.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
        }
    )


def manifest_of(
    config: tuple[str, int], layers: Sequence[Layer], *, annotations: Mapping[str, str]
) -> bytes:
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": config[0], "size": config[1]},
            "layers": [
                {"mediaType": each.media_type, "digest": each.digest, "size": each.size_bytes}
                for each in layers
            ],
            "annotations": dict(sorted(annotations.items())),
        }
    )


@dataclass(frozen=True, slots=True)
class PushedImage:
    """One platform's, in the registry. ``total`` is what all of its layers take there."""

    platform: str
    digest: str
    size: int
    total: int


def index_of(images: Sequence[PushedImage]) -> bytes:
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {
                    "mediaType": OCI_MANIFEST,
                    "digest": each.digest,
                    "size": each.size,
                    "platform": dict(
                        zip(("os", "architecture"), each.platform.split("/"), strict=False)
                    ),
                }
                for each in images
            ],
        }
    )


def _env(asked: Asked, base: BaseImage) -> list[tuple[str, str]]:
    """In the order of BentoML's Dockerfile; what comes later replaces what was before."""
    given = dict(each.split("=", 1) for each in base.env if "=" in each)
    path = given.get("PATH", _DEFAULT_PATH)
    chosen = {
        **given,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONIOENCODING": "UTF-8",
        "PYTHONUNBUFFERED": "1",
        "BENTO_PATH": BENTO,
        "BENTOML_HOME": f"{HOME}/",
        "BENTOML_HF_CACHE_DIR": f"{BENTO}/hf-models",
        "BENTOML_CONTAINERIZED": "true",
        "VIRTUAL_ENV": VENV,
        "PATH": f"{VENV}/bin:{path}",
    }
    for each in (*asked.baked, *asked.envs):
        if each.stage == "all":
            chosen[each.name] = each.value
    return list(chosen.items())


def _labels(asked: Asked, name: str) -> dict[str, str]:
    return {"dev.yokocho.bento": name, "dev.yokocho.bentoml": asked.bentoml}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
