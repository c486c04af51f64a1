"""Reads on their way: one for all who ask for the same at the same time (rules 20).

The first that has to cross leads a flight. Who asks for the same while it is under way may join it, as long as no
invalidation has arrived since it began that may concern its tables; where those are not known yet, any. If an answer
comes of it that may be kept, everybody gets it. If not (it may not be kept, its leader is lost, it has failed) those
who joined go their own way. While it is not known whether an answer to this statement may be kept at all, they wait for
the verdict only, which comes ahead of the answer.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Protocol

from protos.link.link_pb2 import Verdict

if TYPE_CHECKING:
    from edge.cache.answers import Answer, Answers, Asked


MAX_WAIT_S: Final = 10.0  # a client's own limits hold only for what has crossed


class Follower(Protocol):
    """Who waits for a flight."""

    def landed(self, answer: "Answer | None") -> None:
        """It is over; None: nothing has come of it."""


class Flight:
    """One of them."""

    __slots__ = ("_answers", "asked", "followers", "key", "verdict")

    def __init__(self, answers: "Answers", key: Hashable, asked: "Asked") -> None:
        self._answers = answers
        self.key = key
        self.asked = asked
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
        self._under_way: dict[Flight, None] = {}  # the oldest first, also where a later one has taken its place

    def begin(self, flight: Flight) -> None:
        self.by_key[flight.key] = flight
        self._under_way[flight] = None

    def joinable(self, key: Hashable) -> Flight | None:
        flight = self.by_key.get(key)
        return flight if flight is not None and flight.may_be_joined else None

    def land(self, flight: Flight, answer: "Answer | None") -> None:
        """It is over, and those who wait for it are told."""
        if self.by_key.get(flight.key) is flight:
            del self.by_key[flight.key]
        self._under_way.pop(flight, None)
        self.release(flight, answer)

    def expire(self, before: float) -> None:
        """Nobody waits any longer for what was asked for before that."""
        while self._under_way:
            flight = next(iter(self._under_way))
            if flight.asked.sent_at > before:
                return
            self.land(flight, None)

    def release(self, flight: Flight, answer: "Answer | None" = None) -> None:
        """Those who wait need not do so any longer."""
        followers, flight.followers = flight.followers, []
        for follower in followers:
            follower.landed(answer)
