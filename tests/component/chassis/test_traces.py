"""Spans reach a collector when one is configured, and a dead one holds nothing up."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from time import monotonic

from libs.chassis.lifecycle import listen
from tests.support.collector import collecting

PROGRAM = """
import sys
from libs.chassis import telemetry
from libs.chassis.settings import TelemetrySettings

telemetry.set_up("stall", TelemetrySettings(otlp_endpoint=sys.argv[1]))
parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
with telemetry.tracer().start_as_current_span("cook", context=telemetry.remote_context(parent)):
    pass
telemetry.shutdown()
"""


async def run(endpoint: str) -> tuple[int | None, float]:
    begun = monotonic()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, endpoint, stdout=PIPE, stderr=PIPE
    )
    await child.communicate()
    return child.returncode, monotonic() - begun


async def test_a_span_arrives_at_the_collector() -> None:
    async with collecting() as collector:
        code, _ = await run(collector.url)

    assert code == 0
    [span] = collector.spans
    assert (span.service, span.name) == ("stall", "cook")
    assert span.trace == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent == "b7ad6b7169203331"


async def test_a_collector_that_is_gone_delays_an_end_by_seconds_only() -> None:
    with listen("127.0.0.1", 0) as silent:  # accepts, and never answers
        code, seconds = await run(f"http://127.0.0.1:{silent.getsockname()[1]}")

    assert code == 0
    assert seconds < 8
