"""A queue that anything can leave from its middle, in the same time however long it is.

Its links are in what it holds, so nothing has to grow or be gone through: with a hundred thousand answers that would be
a pause for everybody.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar, cast


class Linked:
    """What can stand in one such queue. It has links only while it does."""

    __slots__ = ("_after", "_before")

    _before: "Linked"
    _after: "Linked"


Item = TypeVar("Item", bound=Linked)


class Queue(Linked, Generic[Item]):
    """One of them; its own links lead to its ends."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._before = self._after = self
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        item = self._after
        while item is not self:
            yield cast("Item", item)
            item = item._after

    @property
    def first(self) -> Item:
        """Of one that is not empty."""
        return cast("Item", self._after)

    def append(self, item: Item) -> None:
        last = self._before
        item._before, item._after = last, self
        last._after = self._before = item
        self._count += 1

    def remove(self, item: Item) -> None:
        """It is in this queue."""
        before, after = item._before, item._after
        before._after, after._before = after, before
        del item._before, item._after
        self._count -= 1
