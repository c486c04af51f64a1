"""A script's verdict: given once, and looked for smaller ones no longer than is worth it.

Real processes do not do the same twice. Hypothesis wants that, so what has been seen of a script stays its verdict: one
that has failed fails again without being played. A smaller one than a failed script gets a second chance to fail too.
"""

import time
from collections.abc import Callable
from typing import Final

from tests.staleness.moves import Script

SHRINKING_S: Final = 60.0
CHANCES: Final = 2


class Judge:
    """Plays each script once, and for so long after the first that failed."""

    def __init__(self, play: Callable[[Script], list[str]], shrinking_s: float = SHRINKING_S) -> None:
        self._play = play
        self._shrinking_s = shrinking_s
        self._verdicts: dict[Script, str] = {}
        self._failed_at: float | None = None

    def verdict(self, script: Script) -> str:
        """What was seen that must not be; empty if nothing was."""
        known = self._verdicts.get(script)
        if known is not None:
            return known
        if self._failed_at is not None and time.monotonic() > self._failed_at + self._shrinking_s:
            return ""
        violations: list[str] = []
        for _ in range(1 if self._failed_at is None else CHANCES):
            violations = violations or self._play(script)
        if violations and self._failed_at is None:
            self._failed_at = time.monotonic()
        self._verdicts[script] = "\n".join([*violations[:5], repr(script)]) if violations else ""
        return self._verdicts[script]
