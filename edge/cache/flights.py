"""Reads on their way: one for all who ask for the same at the same time (rules 20).

The first that has to cross leads a flight. Who asks for the same while it is under way may join it, as long as no
invalidation has arrived since it began that may concern its tables; where those are not known yet, any. If an answer
comes of it that may be kept, everybody gets it. While it is not known whether an answer to this statement may be kept
at all, they wait for the verdict only, which comes ahead of the answer.

If nothing comes of it, it depends on why:

    it may not be shared    its verdict says no, it is an error, it is too long: everybody goes their own way
    it was in vain          its leader is too slow, it was refused, something was written meanwhile: one of those who
                            waited leads again and the others follow, once; who has waited in vain twice goes their
                            own way
    it was abandoned        its leader is gone, or has cancelled it, which says nothing of the read: one of those who
                            waited leads again and the others follow, however often that happens

Nobody waits for more than MAX_WAIT_S in all.
"""

import enum
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Protocol

from protos.link.link_pb2 import Verdict

if TYPE_CHECKING:
    from edge.cache.answers import Answer, Answers, Asked


MAX_WAIT_S: Final = 10.0  # a client's own limits hold only for what has crossed


class End(enum.Enum):
    """How a flight ends that brings no answer for all."""

    NOT_SHARED = enum.auto()
    IN_VAIN = enum.auto()
    ABANDONED = enum.auto()


class Follower(Protocol):
    """Who waits for a flight."""

    def landed(self, answer: "Answer | None", end: End) -> None:
        """It is over; None: nothing has come of it, and that is how it ended."""


class Flight:
    """One of them."""

    __slots__ = ("_answers", "asked", "ends_at", "followers", "key", "verdict")

    def __init__(self, answers: "Answers", key: Hashable, asked: "Asked", ends_at: float) -> None:
        """ends_at: nobody waits for it any longer then."""
        self._answers = answers
        self.key = key
        self.asked = asked
        self.ends_at = ends_at
        self.verdict: Verdict | None = None
        self.followers: list[Follower] = []
        answers.flights.begin(self)

    @property
    def may_be_joined(self) -> bool:
        """Whether what it brings is what whoever asks now may read."""
        tables = () if self.verdict is None else self.verdict.tables
        return self.asked.number == self._answers.number or (
            bool(tables) and self._answers.is_good(self.asked.number, tables)
        )


class Flights:
    """Of one configuration."""

    def __init__(self) -> None:
        self.by_key: dict[Hashable, Flight] = {}
        """Those that may be joined, unless something was written meanwhile."""
        self._under_way: dict[Flight, None] = {}  # also where a later one has taken its place

    def begin(self, flight: Flight) -> None:
        self.by_key[flight.key] = flight
        self._under_way[flight] = None

    def joinable(self, key: Hashable) -> Flight | None:
        flight = self.by_key.get(key)
        return flight if flight is not None and flight.may_be_joined else None

    def land(self, flight: Flight, answer: "Answer | None", end: End = End.NOT_SHARED) -> None:
        """It is over, and those who wait for it are told."""
        if self.by_key.get(flight.key) is flight:
            del self.by_key[flight.key]
        self._under_way.pop(flight, None)
        followers, flight.followers = flight.followers, []
        for follower in followers:
            follower.landed(answer, end)

    def expire(self, now: float) -> None:
        """Nobody waits any longer for what has taken too long."""
        for flight in [one for one in self._under_way if one.ends_at <= now]:
            self.land(flight, None)
