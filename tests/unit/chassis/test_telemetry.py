"""Traces travel as W3C text; log lines are JSON and cannot break what they tell of."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typing_extensions import override

from libs.chassis import telemetry
from libs.chassis.settings import TelemetrySettings

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


class FullDisk(io.StringIO):
    @override
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_span_continues_the_trace_it_was_given() -> None:
    telemetry.set_up("stall", TelemetrySettings())

    with telemetry.tracer().start_as_current_span("x", context=telemetry.remote_context(PARENT)):
        said = telemetry.traceparent()

    assert said is not None
    assert said.split("-")[1] == PARENT.split("-")[1]
    assert said.split("-")[2] != PARENT.split("-")[2]
    assert said.split("-")[3] == "01"
    assert telemetry.traceparent() is None


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "",
        "00-zz-zz-01",
        f"{PARENT}-extra",
        PARENT.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-{'0' * 16}-01",
        PARENT.upper(),
    ],
)
def test_a_malformed_parent_starts_a_new_trace(parent: str | None) -> None:
    telemetry.set_up("stall", TelemetrySettings())

    with telemetry.tracer().start_as_current_span("x", context=telemetry.remote_context(parent)):
        said = telemetry.traceparent()

    assert said is not None
    assert PARENT.split("-")[1] not in said


def test_a_span_links_to_what_led_to_it() -> None:
    telemetry.set_up("stall", TelemetrySettings())
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))  # type: ignore[attr-defined]  # the SDK's, since set_up

    with telemetry.tracer().start_as_current_span("x"):
        telemetry.link(PARENT)
        telemetry.link(None)

    [span] = exporter.get_finished_spans()
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [PARENT.split("-")[1]]


def test_a_line_is_json_with_the_service_and_what_is_bound(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry.set_up("stall", TelemetrySettings())

    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger().info("noodles.served", portions=2)
    structlog.get_logger().debug("noodles.counted")

    [line] = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert said.pop("timestamp").endswith("Z")
    assert said == {
        "event": "noodles.served",
        "level": "info",
        "portions": 2,
        "request_id": "r1",
        "service": "stall",
    }


def test_libraries_log_through_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.set_up("stall", TelemetrySettings())

    logging.getLogger("some.package").error("broke: %s", "spoon")
    logging.getLogger("some.package").info("chatter")

    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "broke: spoon"
    assert json.loads(line)["logger"] == "some.package"


def test_a_full_disk_loses_the_line_and_not_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry.set_up("stall", TelemetrySettings())
    monkeypatch.setattr(sys, "stdout", FullDisk())

    structlog.get_logger().info("noodles.served")


def test_the_exporter_is_imported_only_when_it_is_configured() -> None:
    program = """
import sys
from libs.chassis import telemetry
from libs.chassis.settings import TelemetrySettings
telemetry.set_up("stall", TelemetrySettings())
sys.exit(any("otlp" in name for name in sys.modules))
"""

    done = subprocess.run([sys.executable, "-c", program], check=False)

    assert done.returncode == 0
