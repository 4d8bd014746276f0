"""Programs that people have push, list, copy and pull an image through gateway and registry."""

import asyncio
import json
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.support.edge import TOKEN, Gateway
from tests.support.oci import digest_of
from tests.support.oci_layout import write_layout

PAYLOAD: Final = random.Random(3).randbytes(3 * 2**20 + 7)  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Machine:
    """Where clients run: a home of their own, and an image in a folder."""

    folder: Path
    registry: str
    manifest: bytes

    @property
    def layout(self) -> Path:
        return self.folder / "image"

    @property
    def image(self) -> str:
        return f"{self.registry}/team/iris"

    async def run(self, *words: str, said: str | None = None, ok: bool = True) -> str:
        """What the program printed; ``said`` is what it reads."""
        home = {"HOME": str(self.folder), "DOCKER_CONFIG": str(self.folder / "docker")}
        auth = {"REGISTRY_AUTH_FILE": str(self.folder / "auth.json")}
        kept = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
        process = await asyncio.create_subprocess_exec(
            *words,
            env=kept | home | auth,
            cwd=self.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(30):
                out, err = await process.communicate(said.encode() if said else None)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (process.returncode == 0) is ok, f"{' '.join(words)}\n{err.decode()}"
        return (out if ok else err).decode()


@pytest.fixture
def machine(gateway: Gateway, tmp_path: Path) -> Machine:
    folder = tmp_path / "machine"
    manifest = write_layout(folder / "image", payload=PAYLOAD)
    return Machine(folder, urlsplit(gateway.api).netloc, manifest)


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH")


def same_image(layout: Path, manifest: bytes) -> None:
    """Every byte of the image is in the other layout as well."""
    listed = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert [each["digest"] for each in listed] == [digest_of(manifest)]
    described = json.loads(manifest)
    wanted: Sequence[str] = [
        digest_of(manifest),
        *(each["digest"] for each in (described["config"], *described["layers"])),
    ]
    for digest in wanted:
        content = (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
        assert digest_of(content) == digest


async def test_crane_pushes_and_pulls(machine: Machine) -> None:
    needs("crane")
    at = f"{machine.image}:v1"
    await machine.run(
        *("crane", "auth", "login", machine.registry, "-u", "anybody", "--password-stdin"),
        said=TOKEN,
    )
    await machine.run("crane", "push", str(machine.layout), at)

    assert (await machine.run("crane", "digest", at)).strip() == digest_of(machine.manifest)
    assert await machine.run("crane", "manifest", at) == machine.manifest.decode()
    await machine.run("crane", "copy", at, f"{machine.registry}/team/copy:v2")
    assert await machine.run("crane", "ls", f"{machine.registry}/team/copy") == "v2\n"
    await machine.run("crane", "pull", "--format", "oci", at, "pulled")
    same_image(machine.folder / "pulled", machine.manifest)
    await machine.run("crane", "validate", "--remote", at)
    await machine.run("crane", "delete", f"{machine.image}@{digest_of(machine.manifest)}")
    assert "MANIFEST_UNKNOWN" in await machine.run("crane", "manifest", at, ok=False)


async def test_crane_is_refused_without_a_token(machine: Machine) -> None:
    needs("crane")
    said = await machine.run("crane", "push", str(machine.layout), f"{machine.image}:v1", ok=False)

    assert "UNAUTHORIZED" in said


async def test_skopeo_pushes_and_pulls(machine: Machine) -> None:
    needs("skopeo")
    plain, at = "tls-verify=false", f"docker://{machine.image}:v1"
    await machine.run(
        *("skopeo", "login", f"--{plain}", "-u", "anybody", "--password-stdin", machine.registry),
        said=TOKEN,
    )
    copy = ("skopeo", "--insecure-policy", "copy", f"--src-{plain}", f"--dest-{plain}")
    await machine.run(*copy, f"oci:{machine.layout}:v1", at)

    seen = json.loads(await machine.run("skopeo", "inspect", f"--{plain}", at))
    assert (seen["Digest"], seen["RepoTags"]) == (digest_of(machine.manifest), ["v1"])
    await machine.run(*copy, at, f"docker://{machine.registry}/team/copy:v2")
    await machine.run(*copy, f"docker://{machine.registry}/team/copy:v2", "oci:pulled:v2")
    same_image(machine.folder / "pulled", machine.manifest)
    await machine.run("skopeo", "delete", f"--{plain}", at)
    assert "manifest unknown" in await machine.run("skopeo", "inspect", f"--{plain}", at, ok=False)


async def test_buildah_pushes_what_it_builds_and_builds_on_what_it_pulls(
    machine: Machine,
) -> None:
    needs("buildah")
    (machine.folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    buildah = (
        *("buildah", "--storage-driver", "vfs", "--root", str(machine.folder / "storage")),
        *("--runroot", str(machine.folder / "run")),
        *("--registries-conf", os.devnull),
    )
    plain = ("--tls-verify=false", "--creds", f"anybody:{TOKEN}")
    trusted = ("--signature-policy", str(machine.folder / "policy.json"))
    (machine.folder / "auth.json").write_text("{}")
    (machine.folder / "weights").write_bytes(PAYLOAD)
    first = (await machine.run(*buildah, "from", "scratch")).strip()
    await machine.run(*buildah, "copy", first, "weights", "/weights")
    await machine.run(*buildah, "commit", *trusted, first, "made")
    at = f"docker://{machine.registry}/team/made:v1"
    await machine.run(*buildah, "push", *plain, *trusted, "made", at)

    named = at.removeprefix("docker://")
    second = await machine.run(*buildah, "from", *plain, *trusted, "--pull-always", named)
    mounted = (await machine.run(*buildah, "mount", second.strip().splitlines()[-1])).strip()
    assert (Path(mounted) / "weights").read_bytes() == PAYLOAD
    denied = ("--tls-verify=false", "--creds", "anybody:wrong")
    said = await machine.run(*buildah, "push", *denied, *trusted, "made", at, ok=False)
    assert "unauthorized" in said.lower()


async def test_oras_attaches_and_discovers(machine: Machine) -> None:
    needs("oras")
    plain, at = "--plain-http", f"{machine.image}:v1"
    await machine.run(
        *("oras", "login", plain, "-u", "anybody", "--password-stdin", machine.registry), said=TOKEN
    )
    await machine.run(
        "oras", "copy", "--from-oci-layout", f"{machine.layout}:v1", "--to-plain-http", at
    )
    (machine.folder / "sbom.json").write_text("{}")
    await machine.run("oras", "attach", plain, "--artifact-type", "a/sbom", at, "sbom.json")

    found = json.loads(await machine.run("oras", "discover", plain, "--format", "json", at))
    listed = found.get("manifests") or found["referrers"]
    assert [each["artifactType"] for each in listed] == ["a/sbom"]
