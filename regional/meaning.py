"""Since when the statements of a configuration mean what they mean now, and how they are described since then.

Time is counted in moments at which something became known. What was parsed at an earlier moment than the last one that
concerns it may be out of date; what was parsed since is not, as far as anybody here knows. DDL concerns every
statement, that which was seen here and that which shows in the catalogue later; a 0A000 for a changed result concerns
one.

What this is for: a client's Parse of a statement that its connection has already is answered without being sent. After
DDL the statement there is an older one, and Describe or Bind of it fails with 0A000, which a session that has just
parsed it would never get from PostgreSQL (rules 9). So the Parse is a real one wherever the statement there is out of
date: a Close and a Parse, once for each connection and statement after each DDL, and nothing at all otherwise. DDL that
went another way and has not been noticed yet can still cost one 0A000, the first; it puts the statement in doubt on all
connections. A Bind without a Parse is never healed by this. Whoever was told a description says so and is verified; the
0A000 of anybody else is for its driver to act on, which may have the old description in mind.
"""

from typing import Final

from protos.bounded import Bounded

MAX_DOUBTED: Final = 1000  # statements; beyond that all are in doubt
MAX_DESCRIPTION_BYTES: Final = 4 << 20
_ENTRY_BYTES: Final = 200


class Meaning:
    """Of one configuration."""

    __slots__ = ("_changed", "_descriptions", "_doubted", "now")

    def __init__(self) -> None:
        self.now = 0
        self._changed = 0  # the last moment that concerns every statement
        self._doubted: dict[bytes, int] = {}  # later moments, by the statement that they concern
        self._descriptions: Bounded[bytes, bytes] = Bounded(MAX_DESCRIPTION_BYTES)  # by statement

    def changed(self) -> None:
        """The catalogue is another one, or may be."""
        self.now += 1
        self._changed = self.now
        self._doubted.clear()
        self._descriptions.clear()

    def doubt(self, name: bytes) -> None:
        """This statement has another description now than it had somewhere."""
        self.now += 1
        self._doubted[name] = self.now
        self._descriptions.forget(name)
        if len(self._doubted) > MAX_DOUBTED:
            self.changed()

    def is_current(self, name: bytes, moment: int) -> bool:
        """Whether a statement that was parsed at that moment is as if it had been parsed now."""
        return moment >= self._changed and moment >= self._doubted.get(name, 0)

    def description_of(self, name: bytes) -> bytes:
        """How a statement is described now; empty if that is not known."""
        return self._descriptions.get(name) or b""

    def learn(self, name: bytes, description: bytes) -> None:
        """This was said of a statement that is current."""
        self._descriptions.put(name, description, len(description) + _ENTRY_BYTES)
