"""Long work of a core, cut into slices, so that whoever waits for its result may let the loop turn between them.

The work is a generator that yields after each slice, and returns its result.
"""

from collections.abc import Generator
from typing import Final, TypeVar

T = TypeVar("T")

Slices = Generator[None, None, T]

SLICE: Final = 50
"""Rows, or the like, of some tens of microseconds each."""


def at_once(slices: Slices[T]) -> T:
    """Do it without a turn of the loop."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: T = end.value
            return result
