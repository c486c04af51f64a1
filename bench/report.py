"""How figures become tables: medians, percentiles, crossings, ratios, and the plain text that shows them.

A table is printed as Markdown with aligned columns, so that a terminal shows it and docs/benchmarks.md can take it as
it is. A row that could not be measured stays in its table and says so; the reason stands below.
"""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from bench.workspace import say


@attrs.define
class Table:
    """A title, column heads, rows of cells, and notes for below."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)

    def add(self, *cells: str) -> None:
        """Add a row."""
        assert len(cells) == len(self.heads)
        self.rows.append(cells)

    def add_missing(self, name: str, reason: object) -> None:
        """Add a row for what could not be measured, and its reason below the table."""
        self.rows.append((name, "not available", *[""] * (len(self.heads) - 2)))
        self.notes.append(f"{name}: not available: {' '.join(str(reason).split())}")

    def text(self) -> str:
        """The table as text: first column to the left, figures to the right."""
        lines = [self.heads, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.heads))]
        shown = [_line(line, widths) for line in lines]
        rule = "| " + " | ".join(["-" * widths[0], *["-" * (width - 1) + ":" for width in widths[1:]]]) + " |"
        notes = [*self.notes, ""] if self.notes else []
        return "\n".join([self.title, "", shown[0], rule, *shown[1:], "", *notes])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    figures = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([cells[0].ljust(widths[0]), *figures]) + " |"


@attrs.frozen
class Sample:
    """Measurements of one thing, in milliseconds."""

    values_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.values_ms)

    def percentile_ms(self, part: float) -> float:
        """The nearest-rank percentile: a value that was measured, never one between two."""
        ordered = sorted(self.values_ms)
        return ordered[max(0, math.ceil(part * len(ordered)) - 1)]

    def crossings(self, round_trip_ms: float) -> float:
        """The median in round trips of the link."""
        return self.median_ms / round_trip_ms


def ratio(value: float, of: float) -> str:
    """A ratio with two digits, as it is compared with a target."""
    return f"{value / of:.2f}" if of else "-"


def spread(values: Sequence[float]) -> str:
    """How far rounds lay apart, so that a reader knows how much of a difference to believe."""
    return f"{min(values):.0f}-{max(values):.0f}"


def save(figures: dict[str, Any], path: str | None) -> None:
    """Keep the figures as JSON, if asked."""
    if path is not None:
        Path(path).write_text(json.dumps(figures, indent=2) + "\n")
        say(f"figures kept in {path}")
