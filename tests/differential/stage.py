"""Both ways to the database of conversations, and one conversation had by both."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from tests.differential.differences import Excused, UnexcusedError, compare
from tests.differential.player import Address, Client, play
from tests.differential.script import Conversation
from tests.differential.world import DATABASE, World, open_world
from tests.support.cluster import Origin
from tests.support.onetrip import House
from tests.support.target import target_of

NAME = "conversations"


@attrs.define
class Stage:
    """Onetrip and PostgreSQL, and what was excused so far."""

    onetrip: Address
    world: World
    neighbour: Client
    excused: Excused = attrs.field(factory=Excused)

    def hold(self, conversation: Conversation) -> None:
        """Have the conversation by both ways and compare; raises UnexcusedError."""
        world = self.world
        if self.neighbour.status != "I":
            self.neighbour.rows("rollback")
        world.renew(world.look())
        here = play(conversation, self.onetrip, self.neighbour)
        left_here = world.look()
        world.renew(left_here)
        there = play(conversation, world.straight)
        left_there = world.look()
        world.renew(left_there)
        compare(here, there, self.excused)
        if left_here != left_there:
            raise UnexcusedError(f"left in the database\n  Onetrip:    {left_here}\n  PostgreSQL: {left_there}")


@contextmanager
def open_stage(house: House, origin: Origin) -> Iterator[Stage]:
    """Make the database, and a configuration for it."""
    world = open_world(origin)
    target = target_of(house.create(NAME, origin.url(database=DATABASE, sslmode="disable")))
    onetrip = Address(port=target.port, user=target.user, password=target.password, database=target.database)
    neighbour = Client(onetrip, {"application_name": "neighbour"})
    try:
        yield Stage(onetrip, world, neighbour)
    finally:
        neighbour.leave()
        world.keeper.leave()
