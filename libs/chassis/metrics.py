"""What this process counts. One registry, served on ``/metrics``."""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
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
    "Messages by what became of them: done, again or buried",
    ("consumer", "outcome"),
    registry=REGISTRY,
)
MESSAGE_SECONDS: Final = Histogram(
    "yokocho_message_seconds",
    "Time from a delivery to its outcome, whatever that was",
    ("consumer",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
    registry=REGISTRY,
)
LAG_SECONDS: Final = Histogram(
    "yokocho_message_lag_seconds",
    "From the making of an event to the start of its first handling",
    ("consumer",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
    registry=REGISTRY,
)
PUBLISHED: Final = Counter(
    "yokocho_events_published", "Facts that the stream has acknowledged", registry=REGISTRY
)
UNPUBLISHED: Final = Gauge(
    "yokocho_outbox_unpublished", "Facts that are committed and not on the bus", registry=REGISTRY
)
OLDEST_SECONDS: Final = Gauge(
    "yokocho_outbox_oldest_seconds",
    "Age of the oldest fact that is not on the bus; 0 when all are",
    registry=REGISTRY,
)
DEAD_LETTERS: Final = Gauge(
    "yokocho_dead_letters",
    "Messages that were given up and that nobody has resolved",
    ("consumer",),
    registry=REGISTRY,
)


def exposition() -> bytes:
    """The registry in Prometheus' text format."""
    return generate_latest(REGISTRY)
