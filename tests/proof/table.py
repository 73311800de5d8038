"""How the proof is told: one row per check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.proof.check import Check, Result

SHOWN_FAILURES = 5


@dataclass(frozen=True)
class Row:
    """One check that was run."""

    check: Check
    asked: int
    result: Result
    seconds: float

    @property
    def passed(self) -> bool:
        """Tell whether it held, however far it came."""
        return not self.result.failures and self.result.did > 0

    def cells(self) -> tuple[str, ...]:
        """Give the row's columns."""
        if self.result.failures:
            found = f"FAILED: {len(self.result.failures)}"
        elif not self.result.did:
            found = "FAILED: nothing was done"
        elif self.result.did < self.asked:
            found = "ok, stopped by time"
        else:
            found = "ok"
        seen = f"; {self.result.seen}" if self.result.seen else ""
        return (
            self.check.name,
            f"{self.asked:,} {self.check.unit}",
            f"{self.result.did:,}",
            f"{found}{seen}",
            f"{self.seconds:,.0f} s",
        )


def render(rows: Sequence[Row]) -> str:
    """Write the table, in Markdown, so that it can go into the documents as it is."""
    head = ("check", "asked", "did", "found", "time")
    lines = [head, tuple("---" for _ in head), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def render_failures(rows: Sequence[Row]) -> str:
    """Write what was wrong, the first few of each row."""
    lines: list[str] = []
    for row in rows:
        if not row.passed:
            shown = row.result.failures[:SHOWN_FAILURES]
            more = len(row.result.failures) - len(shown)
            lines += [f"\n{row.check.name}:", *(f"  {failure}" for failure in shown)]
            lines += [f"  and {more} more"] if more else []
    return "\n".join(lines)
