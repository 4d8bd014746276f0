"""Logs and traces, set up once per process. Exporters are imported only when configured."""

import logging
import re
import sys
import threading
from typing import Final, TextIO

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, Tracer
from structlog.typing import Processor
from typing_extensions import override

from libs.chassis.settings import TelemetrySettings

_TRACEPARENT: Final = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")
_EXPORT_SECONDS: Final = 2
"""How long one export, and the last flush of a stopping process, may take."""


def set_up(service: str, settings: TelemetrySettings) -> None:
    """Log as ``settings`` say and trace this process. A second call changes the logs only."""
    _set_up_logs(service, settings)
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
        resource=Resource.create({"service.name": service, "service.namespace": "yokocho"}),
        shutdown_on_exit=False,
    )
    if settings.otlp_endpoint is not None:
        _export(provider, str(settings.otlp_endpoint))
    trace.set_tracer_provider(provider)


def tracer() -> Tracer:
    return trace.get_tracer("libs.chassis")


def traceparent() -> str | None:
    """W3C trace context of the current span; ``None`` outside any."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def remote_context(parent: str | None) -> Context:
    """Where a span continues ``parent``; a malformed or absent one starts a new trace."""
    span = _parse(parent)
    if span is None:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def link(other: str | None) -> None:
    """Link the current span to ``other``, a trace that led here without being its parent."""
    span = _parse(other)
    if span is not None:
        trace.get_current_span().add_link(span)


def shutdown() -> None:
    """Flush what is buffered, for two seconds at most: a dead collector must not hold a stop."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        return
    flush = threading.Thread(target=provider.shutdown, name="telemetry-flush", daemon=True)
    flush.start()
    flush.join(_EXPORT_SECONDS)


def _parse(parent: str | None) -> SpanContext | None:
    match = _TRACEPARENT.match(parent or "")
    if match is None:
        return None
    span = SpanContext(
        trace_id=int(match[1], 16),
        span_id=int(match[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(match[3], 16)),
    )
    return span if span.is_valid else None


def _export(provider: TracerProvider, endpoint: str) -> None:
    """Imported only here: the exporter is an extra, and heavy."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 -- see above
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 -- see above

    base = endpoint.rstrip("/")
    url = base if base.endswith("/v1/traces") else f"{base}/v1/traces"
    exporter = OTLPSpanExporter(endpoint=url, timeout=_EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))


def _set_up_logs(service: str, settings: TelemetrySettings) -> None:
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    console = settings.log_format == "console"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, _named(service), *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(sys.stdout),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    if not any(isinstance(each, _Forward) for each in root.handlers):
        root.addHandler(_Forward())
    root.setLevel(max(level, logging.WARNING))


def _named(service: str) -> Processor:
    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add


class _Lines:
    """Writes whole lines; a full disk or a closed pipe loses the line, not the request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, message: str) -> None:
        try:
            self._stream.write(f"{message}\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    log = debug = info = warning = warn = error = critical = fatal = exception = failure = msg


class _Forward(logging.Handler):
    """Libraries' own log records, as lines of ours."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        structlog.get_logger().log(
            logging.ERROR if record.levelno >= logging.ERROR else logging.WARNING,
            "library.said",
            logger=record.name,
            message=message,
            exc_info=record.exc_info,
        )
