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

    @property
    def at(self) -> tuple[int, int]:
        """Its place in the stream."""
        return self.sync_point, self.place

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


class Behind:
    """The next expected change of each name, as seen from places of the stream one after the other, backwards.

    Of what fails or comes true at once there may be as many changes as there are of others behind it.
    """

    __slots__ = ("_here", "every", "named")

    def __init__(self) -> None:
        self.every: Change | None = None
        """The next of all names."""
        self.named: dict[bytes, Change] = {}
        """The next of single names, up to that one; the unnamed statement's lies behind it, perhaps."""
        self._here: list[Change] = []  # at the place itself

    def come_to(self, change: Change) -> None:
        """Its place is seen from now on."""
        if not self._here or self._here[0].at == change.at:
            return
        for one in self._here:
            if one.name is None:
                self.every, unnamed = one, self.named.get(b"")
                self.named = {} if unnamed is None else {b"": unnamed}
            else:
                self.named[one.name] = one
        self._here.clear()

    def leave(self, change: Change) -> None:
        """It lies behind all the places that are still to come."""
        if change.is_expected:
            self._here.append(change)

    def of(self, name: bytes) -> Change | None:
        """The next change of this name."""
        return self.named.get(name) or (self.every if name else None)


class InFlight:
    """Of one session."""

    __slots__ = ("_latest", "_number", "changes", "has_conditions", "names")

    def __init__(self) -> None:
        self.changes: OrderedDict[Change, int] = OrderedDict()
        """In the order of sending, numbered; any of them may be taken out, of as many as there are."""
        self.names: dict[bytes | None, int] = {}
        """How many there are of each."""
        self._latest: dict[bytes | None, Change] = {}  # of each name, where it was not taken back
        self._number = 0
        self.has_conditions = False
        """Whether any of them may have some."""

    def note(self, change: Change) -> None:
        """A change goes out."""
        if len(self.changes) >= MAX_CHANGES:
            raise StatementMemoryError(detail=f"{MAX_CHANGES} of its statements are being parsed or closed at once.")
        self._number += 1
        self.changes[change] = self._number
        self._latest[change.name] = change
        self.has_conditions = self.has_conditions or bool(change.conditions)
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

    def settle(self, total: int) -> None:
        """So many sync points are settled: what was sent before has happened, or was taken back."""
        changes = self.changes
        while changes and next(iter(changes)).sync_point < total:
            self._forget(changes.popitem(last=False)[0])

    def take_back(self, sync_point: int, end: int, place: int) -> Iterator[tuple[Change, Behind]]:
        """Forget what has not happened: each that was expected, with what is behind it; the latest first."""
        undone = {
            one
            for one in self.changes
            if sync_point <= one.sync_point < end and (one.sync_point > sync_point or one.place >= place)
        }
        return self._undo(undone)

    def learn(self, knowledge: Knowledge) -> Iterator[tuple[Change, Behind]]:
        """More is known: forget the changes that this rules out, likewise."""
        undone = set()
        for change in self.changes:
            if change.conditions:
                left = knowledge(change.conditions)
                if left is None:
                    undone.add(change)
                else:
                    change.conditions = left
        self.has_conditions = any(one.conditions for one in self.changes)
        return self._undo(undone)

    def come_true(self) -> Iterator[tuple[Change, Behind]]:
        """Those that were not expected and have happened, if their message has; the latest first."""
        behind = Behind()
        for change in reversed(self.changes):
            behind.come_to(change)
            if not (change.is_expected or change.conditions):
                change.is_expected = True
                yield change, behind
            behind.leave(change)

    def _undo(self, undone: set[Change]) -> Iterator[tuple[Change, Behind]]:
        """Whoever takes these sees one place after the other, and changes nothing but what was before a change."""
        if not undone:
            return
        behind = Behind()
        for change in list(reversed(self.changes)):
            behind.come_to(change)
            if change not in undone:
                behind.leave(change)
                continue
            del self.changes[change]
            self._forget(change)
            if change.is_expected:
                yield change, behind

    def _forget(self, change: Change) -> None:
        if self._latest.get(change.name) is change:
            del self._latest[change.name]
        left = self.names[change.name] - 1
        if left:
            self.names[change.name] = left
        else:
            del self.names[change.name]
