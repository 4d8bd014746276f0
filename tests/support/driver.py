"""The client's requests without the client: one main job as the recordings show it, repeatable.

The real client never retries, so this driver repeats a *command* (a whole push, a whole deploy)
until it succeeds, as a person would.
"""

import io
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.platform import LocalPlatform

_MANIFEST_KEYS: Final = (
    "service",
    "name",
    "version",
    "bentoml_version",
    "entry_service",
    "services",
    "envs",
    "schema",
    "image",
    "spec",
)


class CommandError(Exception):
    """The platform refused or broke off a request of a command."""


@dataclass(frozen=True, slots=True)
class BentoFiles:
    """A bento on disk that can be pushed under any version, as the client packs it."""

    folder: Path

    def manifest(self, version: str) -> dict[str, Any]:
        described = self._described(version)
        manifest = {key: described[key] for key in _MANIFEST_KEYS if key in described}
        return manifest | {
            "apis": {},
            "models": [],
            "runners": [],
            "dev": False,
            "size_bytes": sum(each.stat().st_size for each in self.folder.rglob("*")),
        }

    def archive(self, version: str) -> bytes:
        """An uncompressed PAX tar rooted at ``./``, without ``models``."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.add(self.folder, arcname=".", filter=_without_description)
            text = yaml.safe_dump(self._described(version)).encode()
            info = tarfile.TarInfo("./bento.yaml")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
        return packed.getvalue()

    def _described(self, version: str) -> dict[str, Any]:
        described = yaml.safe_load((self.folder / "bento.yaml").read_text())
        return {**described, "version": version}


def _without_description(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if info.name in {"./bento.yaml", "./models"} else info


@dataclass(slots=True)
class Driver:
    """Pushes and deploys over plain HTTP. ``repeated`` counts commands that had to be repeated.

    ``patience`` is for how many seconds a command is repeated.
    """

    platform: LocalPlatform
    token: str
    patience: float = 60
    repeated: int = 0
    trouble: list[str] = field(default_factory=list)

    def push(self, files: BentoFiles, name: str, version: str) -> None:
        """`bentoml push NAME:VERSION`, repeated until it succeeds."""
        self._until_done(lambda: self._push(files, name, version))

    def deploy(self, bento: str, name: str) -> None:
        """`bentoml deploy BENTO --name NAME --no-wait`; a repetition applies, as a person would."""
        self._until_done(lambda: self._deploy(bento, name))

    def wait(self, name: str, status: str, *, seconds: float = 90) -> None:
        """Poll as the client does, past whatever is down for a moment."""
        deadline = time.monotonic() + seconds
        seen: Any = None
        while time.monotonic() < deadline:
            try:
                seen = self._request("GET", f"/api/v2/deployments/{name}?cluster=default")
            except CommandError as error:
                seen = str(error)
            else:
                if seen["status"] == status:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{name} did not become {status}: {seen}")

    def _push(self, files: BentoFiles, name: str, version: str) -> None:
        base = f"/api/v1/bento_repositories/{name}"
        if self._request("GET", base, missing=True) is None:
            self._request("POST", "/api/v1/bento_repositories", {"name": name, "description": ""})
        bento = self._request("GET", f"{base}/bentos/{version}", missing=True)
        if bento is not None and bento["upload_status"] == "success":
            return
        body = {"description": "", "manifest": files.manifest(version), "labels": []}
        if bento is None:
            fresh = {**body, "version": version, "build_at": "2026-11-20 10:09:03.538404"}
            self._request("POST", f"{base}/bentos", fresh)
        else:
            self._request("PATCH", f"{base}/bentos/{version}", body)
        self._request("PATCH", f"{base}/bentos/{version}/start_upload")
        self._request("PUT", f"{base}/bentos/{version}/upload", files.archive(version))

    def _deploy(self, bento: str, name: str) -> None:
        body: dict[str, Any] = {"bento": bento, "access_authorization": False, "services": {}}
        there = self._request("GET", f"/api/v2/deployments/{name}?cluster=", missing=True)
        if there is None:
            fresh = {**body, "name": name, "dev": False}
            self._request("POST", "/api/v2/deployments?cluster=", fresh)

    def _until_done(self, command: Callable[[], None]) -> None:
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return command()
            except CommandError as error:
                self.repeated += 1
                self.trouble.append(str(error))
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _request(
        self, method: str, path: str, body: object = None, *, missing: bool = False
    ) -> Any:
        """JSON of a 200; None for a 404 where ``missing`` allows it; else ``CommandError``."""
        try:
            status, answer = self._send(method, path, body)
        except (OSError, HTTPException) as error:  # also answers cut in the middle
            raise CommandError(f"{method} {path}: {error!r}") from error
        if status == 404 and missing:
            return None
        if status != 200:
            raise CommandError(f"{method} {path}: {status} {answer}")
        return answer

    def _send(self, method: str, path: str, body: object) -> tuple[int, Any]:
        if not isinstance(body, bytes):
            return self.platform.request(method, path, body, token=self.token)
        request = urllib.request.Request(  # loopback
            f"{self.platform.url}{path}",
            method=method,
            data=body,
            headers={
                "X-YATAI-API-TOKEN": self.token,
                "Content-Type": "application/octet-stream",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # loopback
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")
