"""The files of one build: what the child reads, owned by who it is outside of its namespace."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.builder.containers.dockerfile import beginnings, prepared
from services.builder.containers.recipe import Recipe
from services.builder.oci import Door

SEEN_AT: Final = "/run/yokocho"
"""Where commands find ``settings``: of pip, of uv, and whom to trust."""

BASE: Final = "base"
SCRATCH: Final = "scratch"
AUTHFILE: Final = "secrets/auth.json"
_POLICY: Final = {"default": [{"type": "insecureAcceptAnything"}]}
_SHORT_NAMES: Final = 'unqualified-search-registries = ["docker.io"]\n'
_REGISTRIES: Final = "registries.conf"
_WITHOUT_TLS: Final = '[[registry]]\nlocation = "{host}"\ninsecure = true\n'
_TRUST: Final = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
_INDEX: Final = {
    "index-url": ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "trusted-host": ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"),
}
_UV_NAMES: Final = {"trusted-host": "allow-insecure-host"}


class Workspace:
    def __init__(self, folder: Path, owner: int) -> None:
        self.folder = folder
        self._owner = owner
        self._text = ""

    def fill(self, recipe: Recipe, *, ca_bundle: Path | None, environ: Mapping[str, str]) -> None:
        """Copies when the child is somebody else, who cannot read what this service reads."""
        for name in ("run", SCRATCH, "secrets", "settings"):
            (self.folder / name).mkdir(mode=0o755 if name == "settings" else 0o700, parents=True)
        shutil.copytree(recipe.context, self.folder / "context", symlinks=True)
        if isinstance(recipe.base, Path):
            shutil.copytree(recipe.base, self.folder / BASE)
        self.write("policy.json", json.dumps(_POLICY))
        self.write(_REGISTRIES, _SHORT_NAMES)
        self.write("settings/pip.conf", _pip_conf(environ))
        self.write("settings/uv.toml", _uv_toml(environ))
        if ca_bundle is not None:
            self.write("settings/ca.crt", ca_bundle.read_text())
        for number, value in enumerate(recipe.secrets.values()):
            self.write(f"secrets/{number}", value, mode=0o600)
        self.hand_over()

    def dockerfile(self, recipe: Recipe, base: str | None) -> None:
        """With the places of ``settings``, which no image keeps, as arguments of its stages."""
        found = {"PIP_CONFIG_FILE": "pip.conf", "UV_CONFIG_FILE": "uv.toml"}
        if (self.folder / "settings" / "ca.crt").exists():
            found |= dict.fromkeys(_TRUST, "ca.crt")
        arguments = {name: f"{SEEN_AT}/{file}" for name, file in found.items()}
        text = recipe.dockerfile.read_text()
        self._text = prepared(text, base=base, arguments=arguments, drop=recipe.drop)
        self.write("Dockerfile", self._text)

    def begun(self) -> list[str]:
        """Names of files with beginnings of the Dockerfile."""
        found = enumerate(beginnings(self._text))
        files = {f"Dockerfile-{number}": text for number, text in found}
        for name, text in files.items():
            self.write(name, text)
        return list(files)

    def admit(self, door: Door) -> None:
        """The build may go through it: without TLS there, and nowhere else."""
        (self.folder / _REGISTRIES).unlink()
        self.write(_REGISTRIES, _SHORT_NAMES + _WITHOUT_TLS.format(host=door.host))
        auth = door.authorization.removeprefix("Basic ")
        self.write(AUTHFILE, json.dumps({"auths": {door.host: {"auth": auth}}}), mode=0o600)

    def write(self, name: str, text: str, *, mode: int = 0o644) -> None:
        path = self.folder / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, mode)
            os.fchown(descriptor, self._owner, -1)
            file.write(text)

    def hand_over(self) -> None:
        if self._owner == os.geteuid():
            return
        for parent, folders, files in os.walk(self.folder):
            for name in (".", *folders, *files):
                os.lchown(Path(parent, name), self._owner, self._owner)

    def shred(self) -> None:
        """Overwritten before they are removed, for what that is worth on a modern disk."""
        for path in (self.folder / "secrets").glob("*"):
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()


def _indexes(environ: Mapping[str, str]) -> dict[str, list[str]]:
    found = {}
    for setting, names in _INDEX.items():
        value = next((environ[name] for name in names if environ.get(name)), "")
        if words := [_url(each) for each in value.split()]:
            found[setting] = words
    return found


def _url(word: str) -> str:
    """Of ``name=url``, as uv allows, the url."""
    name, _, url = word.partition("=")
    return word if "://" in name or not url else url


def _pip_conf(environ: Mapping[str, str]) -> str:
    lines = [f"{name} = {' '.join(values)}" for name, values in _indexes(environ).items()]
    return "\n".join(["[global]", "disable-pip-version-check = true", *lines, ""])


def _uv_toml(environ: Mapping[str, str]) -> str:
    lines = []
    for name, values in _indexes(environ).items():
        value = json.dumps(values[0] if name == "index-url" else values)
        lines.append(f"{_UV_NAMES.get(name, name)} = {value}\n")
    return "".join(lines)
