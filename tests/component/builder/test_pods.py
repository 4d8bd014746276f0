"""A build is the pod that BentoML's clients look for while they wait for a deployment."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from services.builder.domain import Wish
from tests.support.builder import Yard
from tests.support.builder_api import answering
from tests.support.loops import running

CLUSTER = "/ws/v1/clusters/default"


@pytest.fixture
async def builder(yard: Yard) -> AsyncIterator[str]:
    async with answering(yard) as url:
        yield url


async def pods(yard: Yard, url: str, repository: str, *, org: str = "default") -> dict[str, Any]:
    """The one message that a client reads."""
    selector = f"yatai.ai/bento-repository={repository},yatai.ai/bento=v1"
    query = {"organization_name": org, "namespace": "team", "selector": selector}
    async with (
        asyncio.timeout(10),
        yard.session.ws_connect(f"{url}{CLUSTER}/pods?{urlencode(query)}") as socket,
    ):
        told: dict[str, Any] = await socket.receive_json()
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    return told


async def log(yard: Yard, url: str, pod: str, **wish: Any) -> tuple[str, list[dict[str, Any]]]:
    """What a client would print, and every message."""
    text, messages = "", list[dict[str, Any]]()
    async with (
        asyncio.timeout(30),
        yard.session.ws_connect(f"{url}{CLUSTER}/tail?pod_name={pod}") as socket,
    ):
        await socket.send_json({"type": "heartbeat"})
        payload = {"id": "r1", "container_name": "builder", "follow": True, "tail_lines": 50}
        await socket.send_json({"type": "data", "payload": payload | wish})
        async for message in socket:
            told = json.loads(message.data)
            messages.append(told)
            for item in (told["payload"] or {}).get("items", ()):
                text += b64decode(item).decode()
            if told["message"]:
                break
    return text, messages


async def test_the_newest_build_of_a_bento_is_found_and_its_log_shown(
    yard: Yard, builder: str
) -> None:
    await yard.push("fox:v1")
    await yard.order("fox:v1", Wish())
    build = await yard.order("fox:v1", Wish())

    told = await pods(yard, builder, "fox")
    [pod] = told["payload"]
    async with running(yard.worker.run):
        text, messages = await log(yard, builder, pod["name"])

    assert told["type"] == "success"
    assert pod["name"] == f"build.{build}"
    assert pod["labels"] == {"yatai.ai/is-bento-image-builder": "true"}
    assert (pod["namespace"], pod["pod_status"]["status"]) == ("team", "Running")
    assert text == yard.log(build)
    assert {each["payload"]["req_id"] for each in messages[:-1]} == {"r1"}
    assert messages[-1] == {"type": "success", "message": "EOF", "payload": None}


async def test_a_build_that_arrives_late_is_waited_for(yard: Yard, builder: str) -> None:
    await yard.push("fox:v1")
    asked = asyncio.create_task(pods(yard, builder, "fox"))
    await asyncio.sleep(0.3)
    build = await yard.order("fox:v1", Wish())

    [pod] = (await asked)["payload"]

    assert pod["name"] == f"build.{build}"
    assert (await pods(yard, builder, "hen"))["payload"] == []


async def test_refusals_are_said_in_messages(yard: Yard, builder: str) -> None:
    for pod in ("build.none", "build.00000000-0000-0000-0000-000000000000"):
        text, [told] = await log(yard, builder, pod)
        assert (text, told["type"], pod[:10] in told["message"]) == ("", "error", True) or told[
            "message"
        ].startswith("the organisation has no build")
    _, [told] = await log(yard, builder, "build.none", tail_lines=-1)
    assert told["type"] == "error"
    assert "another" in (await pods(yard, builder, "fox", org="another"))["message"]


async def test_long_logs_come_in_messages_that_clients_take(yard: Yard, builder: str) -> None:
    await yard.push("fox:v1")
    build = await yard.order("fox:v1", Wish())
    lines = [f"{number} {'ä' * 1000}\n" for number in range(100)]
    yard.folders.log(build).write_text("".join(lines))

    text, messages = await log(yard, builder, f"build.{build}", follow=False, tail_lines=30)

    assert text == "".join(lines[-30:])
    assert max(len(json.dumps(each)) for each in messages) < 2**16


async def test_whoever_does_not_know_the_end_of_a_log_is_not_cut_off(
    yard: Yard, builder: str
) -> None:
    """Clients of 1.2 wait on, and print a traceback when the socket is closed."""
    await yard.push("fox:v1")
    build = await yard.order("fox:v1", Wish())
    async with (
        asyncio.timeout(10),
        yard.session.ws_connect(f"{builder}{CLUSTER}/tail?pod_name=build.{build}") as socket,
    ):
        await socket.send_json({"type": "data", "payload": {"follow": False}})
        assert (await socket.receive_json())["message"] == "EOF"
        await socket.send_json({"type": "heartbeat"})
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.5)


async def test_a_client_that_says_too_much_is_cut_off(yard: Yard, builder: str) -> None:
    async with (
        asyncio.timeout(10),
        yard.session.ws_connect(f"{builder}{CLUSTER}/tail?pod_name=build.x") as socket,
    ):
        await socket.send_str("x" * 2**17)
        while not (message := await socket.receive()).type.name.startswith("CLOS"):
            pass
    assert message.data in {1009, None}
