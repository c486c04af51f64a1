"""Since when the statements of a configuration mean what they mean now: what DDL, seen or noticed later, puts in doubt.

Time is counted in moments at which something became known. What was parsed at an earlier moment than the last one that
concerns it may be out of date; what was parsed since is not, as far as anybody here knows.
"""

from typing import Final

MAX_DOUBTED: Final = 1000  # statements; beyond that all are in doubt


class Meaning:
    """Of one configuration."""

    __slots__ = ("_changed", "_doubted", "now")

    def __init__(self) -> None:
        self.now = 0
        self._changed = 0  # the last moment that concerns every statement
        self._doubted: dict[bytes, int] = {}  # later moments, by the statement that they concern

    def changed(self) -> None:
        """The catalogue is another one, or may be."""
        self.now += 1
        self._changed = self.now
        self._doubted.clear()

    def doubt(self, name: bytes) -> None:
        """This statement has another description now than it had somewhere."""
        self.now += 1
        self._doubted[name] = self.now
        if len(self._doubted) > MAX_DOUBTED:
            self.changed()

    def is_current(self, name: bytes, moment: int) -> bool:
        """Whether a statement that was parsed at that moment is as if it had been parsed now."""
        return moment >= self._changed and moment >= self._doubted.get(name, 0)
