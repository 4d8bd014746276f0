"""Images that a running platform builds, pulled and run as they are."""

import tarfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tests.support.base_image import base_image
from tests.support.platform import LocalPlatform
from tests.support.pulled import Pulled, Shop
from tests.support.rootfs import Rootfs, unpacked

BASE: Final = "python:3.11-slim"
_ENDED: Final = frozenset({"built", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Imager:
    """``folder`` is where images are unpacked."""

    platform: LocalPlatform
    folder: Path

    def bring(self, layout: Path, reference: str = BASE) -> None:
        """A base image, from an OCI layout."""
        packed = self.folder / "base.tar"
        with tarfile.open(packed, "w") as tar:
            tar.add(layout, ".")
        with packed.open("rb") as body:
            request = urllib.request.Request(
                f"{self.platform.url}/api/base-images/import?{urlencode({'reference': reference})}",
                method="POST",
                data=body,
                headers={
                    "X-YATAI-API-TOKEN": self.platform.token,
                    "Content-Type": "application/x-tar",
                    "Content-Length": str(packed.stat().st_size),
                },
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                assert answer.status == 200, answer.read()
        packed.unlink()

    def bring_debian(self) -> None:
        """What is to the platform as ``python:3.11-slim``; the test is skipped where none is."""
        self.bring(base_image())

    def build(self, bento: str, *, seconds: float = 120, **wish: Any) -> dict[str, Any]:
        """The build when it has ended, however it ended."""
        status, said = self.platform.request("POST", "/api/builds", {"bento": bento, **wish})
        assert status == 202, said
        deadline = time.monotonic() + seconds
        while said["status"] not in _ENDED:
            assert time.monotonic() < deadline, f"{said}\n{self.log(said)}"
            time.sleep(0.05)
            _, said = self.platform.request("GET", f"/api/builds/{said['id']}")
        return dict(said)

    def built(self, bento: str, **wish: Any) -> dict[str, Any]:
        """The build, which succeeds."""
        said = self.build(bento, **wish)
        assert said["status"] == "built", f"{said}\n{self.log(said)}"
        return said

    def log(self, build: dict[str, Any]) -> str:
        return str(self.platform.request("GET", f"/api/builds/{build['id']}/log")[1])

    def pull(self, build: dict[str, Any], *, architecture: str = "amd64") -> Pulled:
        repository, _, _ = build["uri"].removeprefix("oci://").partition(":")
        shop = Shop(self.platform.url, self.platform.token)
        return shop.pull(repository, build["image_digest"], architecture=architecture)

    def rootfs(self, build: dict[str, Any]) -> Rootfs:
        folder = self.folder / build["image_digest"].partition(":")[2][:16]
        return unpacked(self.pull(build), folder, shared=self.folder / "bases")
