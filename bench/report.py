"""Figures: medians, percentiles, ratios, and the table that shows them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ``limit`` is what it is compared with, measured in the same run."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    limit_is: str = ""
    target: float | None = None
    """Of the ratio where there is a limit, of the value where there is none."""
    samples: int = 1

    @property
    def ratio(self) -> float | None:
        return self.value / self.limit if self.limit else None

    @property
    def reached(self) -> bool | None:
        if self.target is None:
            return None
        return (self.value if self.ratio is None else self.ratio) <= self.target


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all values do not exceed."""
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]


def table(title: str, rows: Sequence[Row]) -> str:
    cells = [("", "measured", "n", "against", "", "ratio", "target", ""), *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in {0, 4} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([f"\n{title}", *lines])


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {None: "", True: "✓", False: "✗"}[row.reached]
    return (
        row.what,
        f"{row.value:.4g} {row.unit}",
        str(row.samples),
        f"{row.limit:.4g} {row.unit}" if row.limit else "",
        row.limit_is,
        f"{row.ratio:.2f}" if row.ratio is not None else "",
        f"≤ {row.target:g}" if row.target is not None else "",
        verdict,
    )
