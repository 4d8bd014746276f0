"""What this process counts. One registry, served on ``/metrics``."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

REQUESTS: Final = Counter(
    "yokocho_http_requests",
    "HTTP requests answered",
    ("method", "route", "status"),
    registry=REGISTRY,
)
REQUEST_SECONDS: Final = Histogram(
    "yokocho_http_request_seconds",
    "Time until an HTTP request was answered; streams have no end and are left out",
    ("method", "route"),
    registry=REGISTRY,
)
MESSAGES: Final = Counter(
    "yokocho_messages",
    "Messages delivered to a consumer",
    ("consumer", "verdict"),
    registry=REGISTRY,
)
MESSAGE_SECONDS: Final = Histogram(
    "yokocho_message_seconds",
    "Time a consumer took for one message",
    ("consumer",),
    registry=REGISTRY,
)


def exposition() -> bytes:
    """The registry in Prometheus' text format."""
    return generate_latest(REGISTRY)
