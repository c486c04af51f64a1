"""The changes to a session's statements whose outcome is still on its way, so that those which fail can be taken back.

Theory of operation: an edge that waited for each ParseComplete would pay a crossing, so it takes every Parse and Close
for done when it sends them. Each such change is noted with its place in the session's stream (how many sync points were
sent before it on this channel, and how many messages since) and with what its name stood for before. The pool node says
`Failed` of a group in which an error came: what stands there from the failed message on has not happened.

A message of a later group may be on its way by then. So whatever uses a name with a change in flight in an earlier
group says what the name stands for in each case, and the pool node picks one when the outcome is known (`Choice`).

What runs a command under such a name does one thing or another. Then there is a change for each, with its `conditions`.
At most one is *expected*, and stands in the row of changes that come one before the other; the rest do if their
conditions turn out to hold.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import attrs

from edge.conditions import Conditions, Knowledge
from edge.meaning import Statement
from protos.errors import StatementMemoryError

# Beside the link's credit: a Parse of eight bytes must not cost two hundred here without a bound.
MAX_CHANGES: Final = 100_000


@attrs.define(eq=False)
class Change:
    """A change on its way."""

    sync_point: int
    place: int
    name: bytes | None
    """Empty for the unnamed statement, None for all named ones."""
    before: Statement | bytes | None = None
    before_all: dict[bytes, Statement] | None = None
    conditions: Conditions = ()
    """On which earlier messages it hangs."""
    after: Statement | None = None
    """What the name stands for then, if the change is not expected."""
    is_expected: bool = True
    """Whether it happens if all goes well."""

    def before_of(self, name: bytes) -> Statement | bytes | None:
        return self.before if self.before_all is None else self.before_all.get(name)

    def replace_before(self, name: bytes, before: Statement | bytes | None) -> None:
        """What was before it has not happened."""
        if self.before_all is None:
            self.before = before
        elif isinstance(before, Statement):
            self.before_all[name] = before
        else:
            self.before_all.pop(name, None)

    def concerns(self, name: bytes) -> bool:
        return self.name == name or (self.name is None and bool(name))


class InFlight:
    """Of one session."""

    __slots__ = ("_has_conditions", "_latest", "_number", "changes", "names")

    def __init__(self) -> None:
        self.changes: OrderedDict[Change, int] = OrderedDict()
        """In the order of sending, numbered; any of them may be taken out, of as many as there are."""
        self.names: dict[bytes | None, int] = {}
        """How many there are of each."""
        self._latest: dict[bytes | None, Change] = {}  # of each name, where it was not taken back
        self._number = 0
        self._has_conditions = False  # whether any of them may have some

    def note(self, change: Change) -> None:
        """A change goes out."""
        if len(self.changes) >= MAX_CHANGES:
            raise StatementMemoryError(detail=f"{MAX_CHANGES} of its statements are being parsed or closed at once.")
        self._number += 1
        self.changes[change] = self._number
        self._latest[change.name] = change
        self._has_conditions = self._has_conditions or bool(change.conditions)
        self.names[change.name] = self.names.get(change.name, 0) + 1

    def has(self, name: bytes, sync_point: int) -> bool:
        """Whether the latest of this name is from before this sync point, or hangs on what is."""
        if name not in self.names and not (name and None in self.names):
            return False
        names = (name, None) if name else (name,)
        both = [one for each in names if (one := self._latest_of(each)) is not None]
        latest = max(both, key=self.changes.__getitem__)
        return latest.sync_point < sync_point or bool(latest.conditions)

    def _latest_of(self, name: bytes | None) -> Change | None:
        if name not in self.names:
            return None
        latest = self._latest.get(name)
        if latest is None:
            latest = self._latest[name] = next(one for one in reversed(self.changes) if one.name == name)
        return latest

    def of(self, name: bytes) -> list[Change]:
        """Those of a name, the latest first."""
        return [one for one in reversed(self.changes) if one.concerns(name)]

    def all_names(self) -> Iterator[bytes]:
        """All that a change of all names may concern."""
        for change in self.changes:
            yield from (change.name,) if change.name else change.before_all or ()

    def settle(self, total: int) -> None:
        """So many sync points are settled: what was sent before has happened, or was taken back."""
        changes = self.changes
        while changes and next(iter(changes)).sync_point < total:
            self._forget(changes.popitem(last=False)[0])

    def take_back(self, sync_point: int, end: int, place: int) -> list[tuple[Change, Change | None]]:
        """Forget what has not happened: each with the next change of its name, if there is one; the latest first."""
        undone = [
            one
            for one in reversed(self.changes)
            if sync_point <= one.sync_point < end and (one.sync_point > sync_point or one.place >= place)
        ]
        return self._undone(undone)

    def learn(self, knowledge: Knowledge) -> list[tuple[Change, Change | None]]:
        """More is known: forget the changes that this rules out, likewise."""
        if not self._has_conditions:
            return []
        undone = []
        for change in reversed(self.changes):
            if change.conditions:
                left = knowledge(change.conditions)
                if left is None:
                    undone.append(change)
                else:
                    change.conditions = left
        self._has_conditions = any(one.conditions for one in self.changes)
        return self._undone(undone)

    def come_true(self) -> Iterator[Change]:
        """Those that were not expected and have happened, if their message has; the next is found when this is done."""
        for change in [one for one in self.changes if not (one.is_expected or one.conditions)]:
            change.is_expected = True
            yield change

    def after(self, change: Change, name: bytes) -> Change | None:
        """The next expected one of this name."""
        found = None
        for one in reversed(self.changes):
            if (one.sync_point, one.place) <= (change.sync_point, change.place):
                break
            if one.is_expected and one.concerns(name):
                found = one
        return found

    def _undone(self, undone: list[Change]) -> list[tuple[Change, Change | None]]:
        result = []
        for change in undone:
            if change.is_expected:
                result.append((change, None if change.name is None else self.after(change, change.name)))
            del self.changes[change]
            self._forget(change)
        return result

    def _forget(self, change: Change) -> None:
        if self._latest.get(change.name) is change:
            del self._latest[change.name]
        left = self.names[change.name] - 1
        if left:
            self.names[change.name] = left
        else:
            del self.names[change.name]
