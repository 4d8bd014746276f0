"""An image that is to a bento what python:3.11-slim is, made of Debian packages without a registry.

It is made once per machine, into the checkout's .cache, and is an OCI image layout with one image.
"""

import fcntl
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import pytest

from tests.support.oci import CONFIG, IMAGE, INDEX, LAYER_GZIP

TAG: Final = "3.11-slim"
_CACHE: Final = Path(__file__).parents[2] / ".cache" / "base-image"
_FORMAT: Final = "2"
_SUITE: Final = "bookworm"  # whose Python is 3.11
_PACKAGES: Final = "python3,python3-pip,python3-venv,ca-certificates"
_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_SOURCE: Final = re.compile(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+/debian/?)(?:\s|$)", re.MULTILINE)
_PATHS: Final = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNNEEDED: Final = re.compile(
    r"\./(?:usr/share/(?:doc|man|info|locale)/.|var/log/.*\.log|var/log/apt/.|var/cache/(?:apt|ldconfig)/."
    r"|var/lib/apt/lists/.|dev/.|.*/__pycache__/.|.*/EXTERNALLY-MANAGED$|etc/(?:machine-id|hostname|resolv.conf)$)"
)
"""What differs each time, what nobody asks for, and Debian's word against pip."""

_SMALL: Final = re.compile(
    r"\./(?:bin|sbin|lib|lib64|tmp|root|proc|dev|sys|mnt|run|etc(?:/(?:passwd|group|shadow))?"
    r"|usr(?:/(?:bin|sbin|lib|lib64)|/lib64/ld-linux.*|/lib/x86_64-linux-gnu(?:/(?:ld-linux|lib"
    r"(?:c|m|selinux|pcre2-8|mount|blkid|acl|attr|crypto|gmp|smartcols|uuid|tinfo|z)\b).*)?"
    r"|/bin/(?:dash|sh|cat|ls|env|echo|touch|mkdir|wc|id|sleep|tail|head|cut|sort|grep|base64"
    r"|printf|mount|true|setsid|rm|chown|chmod))?)?"
)
_LINKS: Final = {"python3": "/usr/bin/python3", "python": "/usr/bin/python3", "pip": "/usr/bin/pip"}


def base_image() -> Path:
    """The layout's folder. Skips the test where it cannot be made."""
    made = _made()
    if isinstance(made, str):
        pytest.skip(made)
    return made


@cache
def _made() -> Path | str:
    """Or the reason why there is none."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    made = _CACHE / f"layout-{_FORMAT}"
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return made
        try:
            _make(made)
        except (OSError, subprocess.SubprocessError, LookupError) as error:
            return f"no base image: {error} {getattr(error, 'stderr', None) or ''}"[:600]
    return made


def small_image(folder: Path) -> Path:
    """Of the same files only a shell and some commands: where nobody asks for a Python."""
    blobs = (base_image() / "blobs" / "sha256").iterdir()
    blob = max(blobs, key=lambda each: each.stat().st_size)  # its layer
    tree = folder / "small.tar"
    with tarfile.open(blob) as source, tarfile.open(tree, "w") as target:
        for member in source:
            if _SMALL.fullmatch(member.name):
                target.addfile(member, source.extractfile(member) if member.isreg() else None)
    _write_layout(folder / "layout", tree)
    return folder / "layout"


def _make(made: Path) -> None:
    with _work() as work:
        tree = work / "base.tar"
        sources = f"deb {_mirror()} {_SUITE} main"
        options = (
            "--variant=minbase",
            f"--include={_PACKAGES}",
            f"--keyring={_KEYRING}",
            "--quiet",
        )
        _run(_mmdebstrap(work), *options, _SUITE, str(tree), sources)
        layout = work / "layout"
        _write_layout(layout, tree)
        layout.rename(made)


@contextmanager
def _work() -> Iterator[Path]:
    """Beside the result: renamed, not copied."""
    work = _CACHE / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _mirror() -> str:
    """Where this machine has its own packages from."""
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/debian*"))]
    for each in files:
        if each.exists() and (found := _SOURCE.search(each.read_text())):
            return found[1]
    message = "apt of this machine names no Debian mirror"
    raise LookupError(message)


def _mmdebstrap(work: Path) -> str:
    """The machine's; else from its package, which needs no installation."""
    if found := shutil.which("mmdebstrap"):
        return found
    _run("apt-get", "-o", "APT::Sandbox::User=root", "download", "mmdebstrap", cwd=work)
    _run("dpkg", "-x", str(next(work.glob("mmdebstrap_*.deb"))), str(work))
    return str(work / "usr" / "bin" / "mmdebstrap")


def _run(*argv: str, cwd: Path | None = None) -> None:
    subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True, timeout=300)


def _write_layout(folder: Path, tree: Path) -> None:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layer = folder / "layer"
    with layer.open("wb") as file:
        diff_id = _write_layer(file, tree)
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = layer.stat().st_size
    layer.rename(blobs / digest)
    config = _stored(
        blobs,
        CONFIG,
        architecture="amd64",
        os="linux",
        config={"Cmd": ["python3"], "Env": [f"PATH={_PATHS}", "LANG=C.UTF-8"]},
        rootfs={"type": "layers", "diff_ids": [diff_id]},
        history=[{"created": "1970-01-01T00:00:00Z", "created_by": "mmdebstrap"}],
    )
    content = {"mediaType": LAYER_GZIP, "digest": f"sha256:{digest}", "size": size}
    manifest = _stored(
        blobs, IMAGE, schemaVersion=2, mediaType=IMAGE, config=config, layers=[content]
    )
    entry = manifest | {
        "annotations": {"org.opencontainers.image.ref.name": TAG},
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index))


def _stored(blobs: Path, media_type: str, **fields: Any) -> dict[str, Any]:
    body = json.dumps(fields).encode()
    digest = hashlib.sha256(body).hexdigest()
    (blobs / digest).write_bytes(body)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(body)}


class _Hashed:
    """Passes on what is written, and knows its digest."""

    def __init__(self, below: BinaryIO) -> None:
        self._below = below
        self.sum = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        return self._below.write(data)


def _write_layer(file: BinaryIO, tree: Path) -> str:
    """Sorted, at the epoch; the digest of what is inside of the compression."""
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=4, mtime=0, filename="") as zipped:
        hashed = _Hashed(zipped)  # type: ignore[arg-type] # it is written to, and nothing else
        with (
            tarfile.open(tree) as source,
            tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as target,  # type: ignore[call-overload]  # it only writes
        ):
            for member in sorted(source, key=lambda each: each.name):
                if not _UNNEEDED.match(member.name):
                    member.mtime, member.pax_headers = 0, {}
                    target.addfile(member, source.extractfile(member) if member.isreg() else None)
            for name, aim in _LINKS.items():
                link = tarfile.TarInfo(f"./usr/local/bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, aim
                target.addfile(link)
    return f"sha256:{hashed.sum.hexdigest()}"
