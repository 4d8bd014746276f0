"""``python -m bench.sink PORT FOLDER [--discard]``: the least server that the real client accepts.

It answers what pushing and pulling one model takes, and does with the bytes the least that can be
called storing: writes them to a file and fsyncs it, or, told to discard, nothing. Downloads are
aiohttp's own ``FileResponse``. It is what the registry is measured against.
"""

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any, Final

from aiohttp import web

_BASE: Final[dict[str, Any]] = {
    "uid": "0",
    "created_at": "2026-11-20T10:00:00Z",
    "updated_at": "2026-11-20T10:00:00Z",
    "deleted_at": None,
    "labels": [],
    "description": "",
}
_PERSON: Final = {
    **_BASE,
    "name": "bench",
    "resource_type": "user",
    "first_name": "",
    "last_name": "",
    "email": "bench@localhost",
}
_ORG: Final = {**_BASE, "name": "bench", "resource_type": "organization", "creator": _PERSON}
_MODEL: Final = "/api/v1/model_repositories/{repository}/models/{version}"


class Sink:
    def __init__(self, folder: Path, *, discard: bool) -> None:
        self._folder = folder
        self._discard = discard
        self._pushed: dict[str, dict[str, Any]] = {}

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**40)
        app.add_routes(
            [
                web.get("/api/v1/auth/current", _person),
                web.get("/api/v1/current_org", _org),
                web.get("/api/v1/model_repositories/{repository}", self.repository),
                web.post("/api/v1/model_repositories/{repository}/models", self.create),
                web.get(_MODEL, self.get),
                web.patch(_MODEL, self.get),
                web.patch(f"{_MODEL}/start_upload", self.get),
                web.patch(f"{_MODEL}/presign_download_url", self.get),
                web.put(f"{_MODEL}/upload", self.upload),
                web.get(f"{_MODEL}/download", self.download),
            ]
        )
        return app

    async def repository(self, request: web.Request) -> web.Response:
        named = {"name": request.match_info["repository"], "resource_type": "model_repository"}
        return web.json_response({**_BASE, **named, "creator": _PERSON, "latest_model": None})

    async def create(self, request: web.Request) -> web.Response:
        told = await request.json()
        self._pushed[told["version"]] = told
        return web.json_response(self._view(told["version"]))

    async def get(self, request: web.Request) -> web.Response:
        version = request.match_info["version"]
        if version not in self._pushed:
            return web.json_response({"message": "record not found"}, status=404)
        return web.json_response(self._view(version))

    async def upload(self, request: web.Request) -> web.Response:
        if self._discard:
            async for _ in request.content.iter_any():
                pass
            return web.Response()
        with self._file(request).open("wb", buffering=0) as file:
            async for chunk in request.content.iter_any():
                file.write(chunk)
            await asyncio.to_thread(os.fsync, file.fileno())
        return web.Response()

    async def download(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._file(request))

    def _file(self, request: web.Request) -> Path:
        return self._folder / request.match_info["version"]

    def _view(self, version: str) -> dict[str, Any]:
        told = self._pushed[version]
        return {
            **_BASE,
            "name": version,
            "version": version,
            "resource_type": "model",
            "image_build_status": "pending",
            "upload_status": "pending",
            "upload_finished_reason": "",
            "presigned_upload_url": "",
            "presigned_download_url": "",
            "manifest": told["manifest"],
            "build_at": told["build_at"],
            "upload_started_at": None,
            "upload_finished_at": None,
            "upload_id": "",
            "transmission_strategy": "proxy",
        }


async def _person(_request: web.Request) -> web.Response:
    return web.json_response(_PERSON)


async def _org(_request: web.Request) -> web.Response:
    return web.json_response(_ORG)


async def serve(port: int, folder: Path, *, discard: bool) -> None:
    runner = web.AppRunner(Sink(folder, discard=discard).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sink")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--discard", action="store_true")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.folder, discard=given.discard))


if __name__ == "__main__":
    main()
