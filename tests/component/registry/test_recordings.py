"""What real clients asked in recordings, asked again: the same statuses, no key missing.

The recordings are one story: each continues with what the earlier ones stored. Where the recorded
server let a client upload to a presigned URL, the bytes go through the platform here.
"""

import json
from typing import Any, Final

import aiohttp

from tests.support.registry import BENTOS, PERSON, archive_of, create, send
from tests.support.sources import ROOT

_STORY: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests/data/registry/recordings.json").read_text()
)


def keys(value: object, at: str = "") -> set[str]:
    """``a.b`` for every member, of lists their first item's; what is in a manifest is sent."""
    if isinstance(value, list):
        return keys(value[0], at) if value else set()
    if not isinstance(value, dict):
        return set()
    found = {f"{at}{name}" for name in value}
    for name, inner in value.items():
        if name not in {"manifest", "labels"}:
            found |= keys(inner, f"{at}{name}.")
    return found


async def ask(session: aiohttp.ClientSession, request: dict[str, Any]) -> tuple[int, Any]:
    path = request["path"]
    if "query" in request:
        path += "?" + "&".join(f"{name}={value}" for name, value in request["query"].items())
    body = request.get("body")
    return await send(
        session, request["method"], path, archive_of(path) if body == "archive" else body
    )


async def test_every_recorded_request_is_answered_as_it_was(
    session: aiohttp.ClientSession,
) -> None:
    wrong = []
    asked = [
        (recording["recording"], each)
        for recording in _STORY["recordings"]
        for each in recording["requests"]
    ]
    for recording, request in asked:
        status, said = await ask(session, request)
        missing = set(_STORY["answers"].get(request["answer"], [])) - keys(said)
        if status != request["status"] or missing:
            wrong.append((recording, request["path"], status, sorted(missing)))

    assert wrong == []
    assert len(asked) > 100


async def test_recorded_manifests_and_archives_come_back_as_they_were_sent(
    session: aiohttp.ClientSession,
) -> None:
    requests = _STORY["recordings"][0]["requests"]
    for request in requests:
        await ask(session, request)

    for request in requests:
        if request["method"] == "PUT":
            version = request["path"].removesuffix("/upload")
            downloaded = await send(session, "GET", f"{version}/download")
            assert downloaded == (200, archive_of(request["path"]))
        elif "manifest" in request.get("body", {}):
            path = f"{request['path']}/{request['body']['version']}"
            _, said = await send(session, "GET", path)
            assert {**request["body"], "build_at": said["build_at"]}.items() <= said.items()


async def test_a_repository_shows_who_made_it(session: aiohttp.ClientSession) -> None:
    await create(session, "v1")

    _, listed = await send(session, "GET", BENTOS)

    shown = listed["items"][0]["repository"]["creator"]
    assert (shown["uid"], shown["name"], shown["email"]) == (
        str(PERSON.id),
        PERSON.name,
        PERSON.email,
    )
