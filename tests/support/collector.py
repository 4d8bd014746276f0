"""A collector of traces: the real protocol, and every span that arrived, by name of service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Exported


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it was exported. ``links`` are trace ids; an empty ``parent`` is a root's."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]


@dataclass(slots=True)
class Collector:
    """Whatever has been sent to ``url`` until now."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    async def collect(self, request: web.Request) -> web.Response:
        arrived = ExportTraceServiceRequest.FromString(await request.read())
        for resource in arrived.resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += (_span(named["service.name"], each) for each in scope.spans)
        return web.Response()

    def trace(self, trace_id: str) -> list[Span]:
        return [each for each in self.spans if each.trace == trace_id]

    async def until(
        self, complete: Callable[[Sequence[Span]], bool], *, seconds: float = 10
    ) -> None:
        """Until what arrived is ``complete``; whoever waits in vain sees all of it."""
        try:
            async with asyncio.timeout(seconds):
                while not complete(self.spans):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            told = "\n".join(map(str, self.spans))
            raise AssertionError(f"not within {seconds} s; these spans arrived:\n{told}") from None


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.collect)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        collector.url = f"http://{host}:{port}"
        yield collector
    finally:
        await runner.cleanup()


def _span(service: str, exported: Exported) -> Span:
    return Span(
        service,
        exported.name,
        trace=exported.trace_id.hex(),
        id=exported.span_id.hex(),
        parent=exported.parent_span_id.hex(),
        links=tuple(each.trace_id.hex() for each in exported.links),
    )
