"""What the builder says of its routes holds, whatever it is asked."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from docs.generate.api import routes_of_services
from services.builder.domain import Wish
from services.builder.http import DOCUMENT
from tests.support.builder import Yard
from tests.support.builder_api import answering

_SECONDS: Final = 60


def findable(document: dict[str, Any], build: str) -> dict[str, Any]:
    """With a build that is there, and has ended: what follows one that has not does not end."""
    del document["security"]
    del document["paths"]["/api/base-images/pull"]  # from where others publish: not in a test
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for each in operation["parameters"]:
                if each["name"] == "build_id":
                    each["schema"]["enum"] = [build, "nobodys", "a b"]
            if path == "/api/builds" and "requestBody" in operation:
                body = document["components"]["schemas"]["BuildBody"]["properties"]
                body["bento"]["enum"] = ["fox:v1", "fox", "nobodys:v1"]
    return document


def test_every_route_below_builds_is_described() -> None:
    public = [each for each in routes_of_services()["builder"] if each.path.startswith("/api/")]

    assert {each.path for each in public if each.operation is None} == {DOCUMENT}
    ids = [each.operation.id for each in public if each.operation]
    assert len(ids) == len(set(ids))


@pytest.mark.long
@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=pytest.mark.soak)])
async def test_whatever_is_asked_of_the_builder_is_answered_as_described(
    yard: Yard, tmp_path: Path, examples: int
) -> None:
    await yard.push("fox:v1")
    await yard.push("hen:v1", "no-such-package-anywhere @ file:///nowhere.whl")
    ended = await yard.ended(await yard.order("hen:v1", Wish()))
    assert ended.status == "failed"
    async with answering(yard) as url:
        async with aiohttp.ClientSession() as session, session.get(url + DOCUMENT) as answer:
            document = await answer.json()
        schema = tmp_path / "openapi.json"
        schema.write_text(json.dumps(findable(document, str(ended.id))))
        command = [sys.executable, "-m", "schemathesis.cli", "run", str(schema), "--url", url]
        command += ["--max-examples", str(examples), "--seed", "1", "--generation-deterministic"]
        command += ["--phases", "examples,coverage,fuzzing", "--no-shrink", "--no-color"]
        command += ["--checks", "all", "--continue-on-failure", "--exclude-checks"]
        command += ["positive_data_acceptance,negative_data_rejection"]  # any text may be a path
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(_SECONDS * examples / 15):
            told, _ = await process.communicate()

    assert process.returncode == 0, told.decode()
