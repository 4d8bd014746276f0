"""Spans reach a collector when one is configured, and a dead one holds nothing up."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from time import monotonic

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from libs.chassis.lifecycle import listen

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
    arrived = ExportTraceServiceRequest()

    async def collect(request: web.Request) -> web.Response:
        arrived.ParseFromString(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", collect)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        code, _ = await run(f"http://{host}:{port}")
    finally:
        await runner.cleanup()

    assert code == 0
    [resource] = arrived.resource_spans
    named = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert named["service.name"] == "stall"
    [span] = resource.scope_spans[0].spans
    assert span.name == "cook"
    assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent_span_id.hex() == "b7ad6b7169203331"


async def test_a_collector_that_is_gone_delays_an_end_by_seconds_only() -> None:
    with listen("127.0.0.1", 0) as silent:  # accepts, and never answers
        code, seconds = await run(f"http://127.0.0.1:{silent.getsockname()[1]}")

    assert code == 0
    assert seconds < 8
