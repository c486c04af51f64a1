"""One session at a time: a client, its model, and the comparison of what it gets with what it must get.

A session ends when its client says goodbye or vanishes; the player then goes on as another session, with a number of
its own, so that whatever the one before has left is known by its mark.
"""

import asyncio
import itertools
import random
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from protos.pg.messages import query
from tests.leak.client import Answer, Client, connect
from tests.leak.model import PROBE, REPORTED, Model
from tests.support.target import Target

KEPT_HISTORY: Final = 14
BUSY: Final = "53300"
REFUSED: Final = "0A000"
_MARK: Final = re.compile(r"[sS](\d{6})\b|[sS](\d{6})[-_>]")

Change = Callable[[Model], object]


def _nothing(_: Model) -> None:
    pass


@attrs.define
class Shared:
    """What all players of a run share."""

    bases: dict[str, str]
    """The settings of a connection that nobody has changed."""

    pins: asyncio.Semaphore
    """So many sessions may hold something that keeps their connection (`pin`)."""

    numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1))
    counts: Counter[str] = attrs.field(factory=Counter)
    """Actions by kind."""

    outcomes: Counter[str] = attrs.field(factory=Counter)
    violations: list[str] = attrs.field(factory=list)
    channels: dict[int, str] = attrs.field(factory=dict)
    """By slot, a channel that its session may listen to: others notify it."""


class Player:
    """Plays one session after the other in its slot."""

    def __init__(self, shared: Shared, mode: str, slot: int, targets: list[Target], seed: str) -> None:
        self.shared = shared
        self.mode = mode
        self.slot = slot
        self.random = random.Random(seed)
        self.history: deque[str] = deque(maxlen=KEPT_HISTORY)
        self.has_pin = False
        self.model: Model
        self.client: Client
        self._targets = targets

    # --- a session's beginning and end ---

    async def begin(self) -> None:
        """Become a new session, by one of the edges."""
        number = next(self.shared.numbers)
        model = Model(self.mode, number, self.slot, self.shared.bases, bases=self.shared.bases)
        given = {"application_name": model.word()}
        for name in ("app.x", "geqo_pool_size", "TimeZone", "search_path"):
            if self.random.random() < 0.25:
                given[name] = model.value_for(name)
        model = self.model = Model(self.mode, number, self.slot, self.shared.bases | given, bases=self.shared.bases)
        model.counter = 100  # the words above are taken
        self.history.append(f"-- {model.mark} ({self.mode}) begins with {given}")
        self.client = await connect(self.random.choice(self._targets), given)
        self.shared.channels[self.slot] = f"leak_{model.mark}_0"

    def vanished(self) -> None:
        """Close the socket without a word."""
        self.history.append("-- vanishes")
        self.client.vanish()
        self.shared.outcomes["killed"] += 1
        self._let_go()

    async def leave(self) -> None:
        """Say goodbye."""
        await self.client.close()
        self._let_go()

    def _let_go(self) -> None:
        if self.has_pin:
            self.has_pin = False
            self.shared.pins.release()

    # --- pinning ---

    async def may_pin(self) -> bool:
        """Whether it may take hold of something now; where nothing pins, always."""
        if self.mode != "pin" or self.has_pin:
            return True
        if self.shared.pins.locked():
            return False
        await self.shared.pins.acquire()
        self.has_pin = True
        return True

    def let_go_if_free(self) -> None:
        """Somebody else may be pinned if this session is not any more."""
        if not self.model.in_transaction and not self.model.now.pins:
            self._let_go()

    # --- statements ---

    async def run(self, sql: str, change: Change = _nothing, *, refused: bool = False) -> Answer | None:
        """Run SQL by the simple protocol; see `ask`."""
        return await self.ask(sql, [query(sql.encode())], change, refused=refused)

    async def ask(
        self, words: str, messages: list[bytes], change: Change = _nothing, *, refused: bool = False
    ) -> Answer | None:
        """Send, and note in the model what it changes if it goes well; None if it does not.

        refused: the answer must be 0A000.
        """
        self.history.append(words.replace(PROBE, "(probe)"))
        answer = await self.client.ask(*messages)
        return self.heard(words, answer, change, refused=refused)

    def heard(self, words: str, answer: Answer, change: Change = _nothing, *, refused: bool = False) -> Answer | None:
        """Compare the answer with the model."""
        model = self.model
        if answer.sqlstate == BUSY and not model.in_transaction:
            self.shared.outcomes["busy"] += 1
            self.history.append(f"-- busy: {answer.error}")
            return None
        if answer.sqlstate:
            model.has_failed = model.in_transaction
            if refused and answer.sqlstate == REFUSED:
                self.shared.outcomes["refused"] += 1
                self.history.append("-- refused")
            else:
                self.violated(f"{words}: unexpected error {answer.error}")
        else:
            change(model)
            if refused:
                self.violated(f"{words}: was not refused")
        model.ended()
        self.let_go_if_free()
        self._check_what_is_reported(answer)
        return None if answer.sqlstate else answer

    def _check_what_is_reported(self, answer: Answer) -> None:
        model = self.model
        wanted = "E" if model.has_failed else "T" if model.in_transaction else "I"
        if answer.status != wanted:
            self.violated(f"the status is {answer.status}, and should be {wanted}")
        for name in () if model.has_failed else REPORTED:
            reported = self.client.parameters.get(name)
            if reported not in {model.now.visible[name], model.reported.get(name)}:
                self.violated(f"{name} was reported as {reported!r}, and is {model.now.visible[name]!r}")
        for channel in self.client.notified:
            if model.mark not in channel:
                self.violated(f"was notified on {channel}")
        self.client.notified.clear()

    async def probe(self) -> None:
        """Look at everything that the session can see."""
        expected = self.model.expected()
        answer = await self.run(PROBE)
        if answer is not None:
            self.compare(answer, expected)

    def compare(self, answer: Answer, expected: dict[str, str]) -> None:
        """The last row is that of `PROBE`."""
        self.shared.outcomes["probes"] += 1
        for (name, wanted), seen in zip(expected.items(), answer.rows[-1], strict=True):
            if seen != wanted:
                self.violated(f"{name} is {seen!r}, and should be {wanted!r}{self._whose(seen or '')}")

    def _whose(self, seen: str) -> str:
        numbers = {int(one or two) for one, two in _MARK.findall(seen)} - {self.model.number}
        return f": LEAK from {sorted(numbers)}" if numbers else ""

    def violated(self, what: str) -> None:
        history = "\n      ".join(self.history)
        self.shared.violations.append(f"{self.model.mark} ({self.mode}, slot {self.slot}): {what}\n      {history}\n")
