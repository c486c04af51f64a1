"""Both ways to the database of conversations, and one conversation had by both."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from tests.differential.differences import Excused, UnexcusedError, compare
from tests.differential.modes import TRACK, Mode
from tests.differential.player import Address, Client, play
from tests.differential.script import Conversation
from tests.differential.world import DATABASE, World
from tests.support.onetrip import House
from tests.support.target import target_of

SPEAKS_EVERY_S: Final = 2.5
"""An edge says what its cache has done, a little more often."""


@attrs.define
class Stage:
    """Onetrip and PostgreSQL, and what was excused so far."""

    house: House
    onetrip: Address
    world: World
    neighbour: Client
    writer: Client
    mode: Mode = TRACK
    excused: Excused = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.excused = self.nothing_excused()

    def nothing_excused(self) -> Excused:
        """To count what the rows of this mode excuse."""
        return Excused(allowed=self.mode.rows)

    def hold(self, conversation: Conversation) -> None:
        """Have the conversation by both ways and compare; raises UnexcusedError."""
        world = self.world
        for other in (self.neighbour, self.writer, world.writer):
            if other.status != "I":
                other.rows("rollback")
        if world.renew(world.look()):
            self._invalidate()
        here = play(conversation, self.onetrip, self.writer, self.neighbour, forgets=self.mode.forgets)
        left_here = world.look()
        if world.renew(left_here):
            self._invalidate()
        there = play(conversation, world.straight, world.writer, forgets=self.mode.forgets)
        left_there = world.look()
        world.renew(left_there)
        if compare(here, there, self.excused) and left_here != left_there:
            raise UnexcusedError(f"left in the database\n  Onetrip:    {left_here}\n  PostgreSQL: {left_there}")

    def hits(self) -> int:
        """How many reads its edges say that they have answered from the cache."""
        time.sleep(SPEAKS_EVERY_S)
        caches = json.loads(self.house.command("status", "--json").stdout)["caches"]
        return sum(cache["hits"] for cache in caches)

    def _invalidate(self) -> None:
        """The database has been made fresh past Onetrip, so what it keeps of the state before is no more."""
        if self.writer.status != "I":
            self.writer.rows("rollback")
        self.writer.rows("do $$ begin end $$")


@contextmanager
def open_stage(house: House, world: World, mode: Mode = TRACK) -> Iterator[Stage]:
    """Make a configuration for the database."""
    url = world.origin.url(database=DATABASE, sslmode="disable")
    target = target_of(house.create(f"conversations-{mode.name}", url, *mode.options))
    onetrip = Address(port=target.port, user=target.user, password=target.password, database=target.database)
    neighbour, writer = (Client(onetrip, {"application_name": name}) for name in ("neighbour", "writer"))
    try:
        yield Stage(house, onetrip, world, neighbour, writer, mode)
    finally:
        neighbour.leave()
        writer.leave()
