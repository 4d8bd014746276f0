"""What the supervisor tells the commands: a file, replaced at every change."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cli.home import Home, platform_version
from cli.supervisor.layout import Layout
from cli.supervisor.units import State, Unit
from libs.chassis.process import identify


@dataclass(slots=True)
class Status:
    """Written to ``run/status.json``. Nobody's truth but the reader's: it is not read back."""

    home: Home
    pid: int
    state: str = "starting"
    trouble: str = ""
    cure: str = ""
    warnings: list[str] = field(default_factory=list)
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    layout: Layout | None = None

    def write(self, units: Iterable[Unit]) -> None:
        body = json.dumps(self.view({unit.name: unit.view() for unit in units}), indent=1)
        temporary = self.home.status_file.with_suffix(".new")
        temporary.write_text(body)
        temporary.replace(self.home.status_file)

    def view(self, services: dict[str, Any]) -> dict[str, Any]:
        identity = identify(self.pid)
        layout = self.layout
        return {
            "home": str(self.home.root),
            "version": platform_version(),
            "url": layout.url if layout else None,
            "endpoints_url": layout.endpoints_url if layout else None,
            "marker": layout.marker if layout else None,
            "state": self.state,
            "trouble": self.trouble,
            "cure": self.cure,
            "warnings": self.warnings,
            "since": self.since.isoformat(),
            "supervisor": {"pid": self.pid, "started": identity.started if identity else None},
            "services": services,
        }


def overall(units: Iterable[Unit]) -> str:
    """One word for all of them once the start is over."""
    return "running" if all(unit.state is State.RUNNING for unit in units) else "degraded"
