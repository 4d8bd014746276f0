"""A server of packages that lives as long as the test's process: requirements may name no files."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from typing_extensions import override

_OFFERED: Final[dict[str, bytes]] = {}
_INFO: Final = "thing-1.0.dist-info"
_METADATA: Final = "Metadata-Version: 2.2\nName: thing\nVersion: 1.0\n"
_WHEEL: Final = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def offered(name: str, content: bytes) -> str:
    """Where the file can be had from now on."""
    path = f"/{hashlib.sha256(content).hexdigest()}/{name}"
    _OFFERED[path] = content
    return f"{_address()}{path}"


def source_archive(then: str = "said = ''") -> bytes:
    """A package ``thing`` that builds itself: ``then`` is run, what is ``said`` then is in it."""
    backend = (
        "import zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    scope = {}\n"
        f"    exec({then!r}, scope)\n"
        "    name = 'thing-1.0-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(f'{folder}/{name}', 'w') as wheel:\n"
        "        wheel.writestr('thing.py', scope['said'])\n"
        "        wheel.writestr('thing-1.0.dist-info/METADATA', METADATA)\n"
        "        wheel.writestr('thing-1.0.dist-info/WHEEL', WHEEL)\n"
        "        wheel.writestr('thing-1.0.dist-info/RECORD', '')\n"
        "    return name\n"
        f"METADATA, WHEEL = {_METADATA!r}, {_WHEEL!r}\n"
    )
    files = {
        "backend.py": backend,
        "PKG-INFO": _METADATA,
        "pyproject.toml": (
            "[project]\nname = 'thing'\nversion = '1.0'\n"
            "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        ),
    }
    return packed("thing-1.0", files)


def packed(top: str, files: Mapping[str, str]) -> bytes:
    """As archives of source have it: all below one folder."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return archive.getvalue()


def wheel_archive(files: Mapping[str, str]) -> bytes:
    """The package ``thing``, built, with these files."""
    described = {f"{_INFO}/METADATA": _METADATA, f"{_INFO}/WHEEL": _WHEEL}
    named = "".join(f"{name},,\n" for name in [*files, *described, f"{_INFO}/RECORD"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        for name, text in {**files, **described, f"{_INFO}/RECORD": named}.items():
            wheel.writestr(name, text)
    return packed.getvalue()


def tar_archive(files: Mapping[str, str]) -> bytes:
    """As the client packs a bento or a model."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


@cache
def _address() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    Thread(target=server.serve_forever, name="packages", daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(_OFFERED.get(self.path))

    def do_HEAD(self) -> None:
        self._answer(_OFFERED.get(self.path), with_body=False)

    @override
    def log_message(self, format: str, *args: object) -> None:
        return

    def _answer(self, content: bytes | None, *, with_body: bool = True) -> None:
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if content is not None and with_body:
            self.wfile.write(content)
