"""The group of pool nodes of one store, over a real PostgreSQL: who is in it, and when somebody may serve."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import psycopg
import pytest
import trio

from protos.link.link_pb2 import Group
from protos.runtime.guest import call_host
from regional import membership
from regional.membership import GONE_S, KNOWN_S, LEASE_S, WAIT_S, Membership, at_work
from regional.secrets import KEY_BYTES, SecretBox
from regional.store import Member, StoreError
from regional.store_postgres import PostgresStore
from regional.vault import Vault, open_vault
from tests.regional.test_server import HELLO, Peer
from tests.support.cluster import Origin
from tests.support.hosted import hosted, until
from tests.support.onetrip import Workplace
from tests.support.process import Process, free_port
from tests.support.target import port_of

SOON_S: Final = 0.3
#: The command, with a shorter wait for who joins.
QUICK_COMMAND: Final = """
from deploy.command import main
from regional import membership
membership.PERIOD_S, membership.WAIT_S = 0.1, 2.0
main()
"""


def test_a_new_node_waits_longer_than_an_edge_may_serve_without_having_heard_of_it() -> None:
    assert WAIT_S > KNOWN_S + LEASE_S


def test_who_was_silent_for_long_is_no_member() -> None:
    members = [Member("a", 0.1), Member("b", GONE_S - 1), Member("c", GONE_S + 1)]
    assert at_work("me", members) == {"me", "a", "b"}


@attrs.define(eq=False)
class Node:
    """A member, and what it tells its edges."""

    name: str
    vault: Vault
    told: list[Group] = attrs.field(factory=list)
    missed: list[int] = attrs.field(factory=list)
    """How often it had told something when edges had to drop what they keep."""
    membership: Membership = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.membership = Membership(
            self.vault, self.name, self.told.append, lambda: self.missed.append(len(self.told))
        )

    @property
    def group(self) -> tuple[tuple[str, ...], bool]:
        return tuple(self.told[-1].nodes), self.told[-1].unknown


@pytest.fixture
def url(origin: Origin) -> Iterator[str]:
    with origin.connect("postgres") as connection:
        connection.execute("create database group_store owner by_scram")
    yield origin.url(database="group_store")
    origin.drop("group_store")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PERIOD_S", "LOOK_S"):
        monkeypatch.setattr(membership, name, 0.02)
    monkeypatch.setattr(membership, "WAIT_S", SOON_S)


def node(url: str, name: str) -> Node:
    return Node(name, Vault(PostgresStore(url), SecretBox(bytes(KEY_BYTES))))


async def until_told(one: Node, *names: str, unknown: bool = False) -> None:
    with trio.fail_after(5):
        while not one.told or one.group != (names, unknown):  # noqa: ASYNC110 - it is told by a thread's answer
            await trio.sleep(0.005)


@pytest.mark.postgres
@pytest.mark.usefixtures("quick")
async def test_two_nodes_find_each_other_and_part(url: str) -> None:
    one, other = node(url, "a"), node(url, "b")
    async with trio.open_nursery() as nursery:
        begun = trio.current_time()
        await nursery.start(one.membership.run)
        assert trio.current_time() - begun < SOON_S, "alone it has nobody to wait for"
        await until_told(one, "a")
        begun = trio.current_time()
        await nursery.start(other.membership.run)
        assert trio.current_time() - begun >= SOON_S
        assert one.group == (("a", "b"), False), "it has told its edges before the other one serves"
        assert other.group == (("a", "b"), False)
        one.missed.clear()
        await other.membership.leave()
        await until_told(one, "a")
        assert one.missed == [len(one.told) - 1], "what the other one said last may have been missed"
        await trio.sleep(0.1)
        assert list(one.told[-1].nodes) == ["a"], "it does not come back"
        nursery.cancel_scope.cancel()
    for member in (one, other):
        member.vault.close()


@pytest.mark.postgres
@pytest.mark.usefixtures("quick")
async def test_without_its_store_a_node_says_that_it_does_not_know(
    url: str, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "KNOWN_S", 0.3)
    one = node(url, "a")
    async with trio.open_nursery() as nursery:
        await nursery.start(one.membership.run)
        await until_told(one, "a")
        with origin.connect("postgres") as connection:
            connection.execute("alter database group_store allow_connections false")
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'group_store'")
            await until_told(one, "a", unknown=True)
            one.missed.clear()
            connection.execute("alter database group_store allow_connections true")
        await until_told(one, "a")
        assert one.missed, "who came and went meanwhile nobody knows"
        nursery.cancel_scope.cancel()
    one.vault.close()


@pytest.mark.postgres
def test_a_row_that_nobody_renews_grows_old(url: str, origin: Origin) -> None:
    store = PostgresStore(url)
    (member,) = store.renew("a")
    assert member.node == "a"
    assert 0 <= member.renewed_s < 1
    with psycopg.connect(origin.url(database="group_store"), autocommit=True) as connection:
        connection.execute("update onetrip.node set seen_at = seen_at - interval '70 s'")
    ages = {member.node: member.renewed_s for member in store.renew("b")}
    assert ages["a"] > GONE_S
    assert ages["b"] < 1
    store.leave("b")
    store.leave("b")
    assert [member.node for member in store.renew("c")] == ["a", "c"]
    store.close()
    with psycopg.connect(origin.url(database="group_store"), autocommit=True) as connection:
        connection.execute("drop table onetrip.node")
    with pytest.raises(StoreError):
        store.renew("a")


async def test_a_store_of_one_machine_has_a_group_of_one() -> None:
    told: list[Group] = []
    alone = Membership(open_vault("sqlite://:memory:"), "a", told.append, told.clear)
    async with trio.open_nursery() as nursery:
        await nursery.start(alone.run)
    await alone.leave()
    assert not told, "the group that a link begins with is right"


@pytest.mark.postgres
def test_two_pool_nodes_tell_their_edges_of_each_other(url: str, place: Workplace, tmp_path: Path) -> None:
    """As processes: an edge of the first hears of the second before that one takes anybody."""
    key = tmp_path / "key"
    key.write_text("00" * KEY_BYTES)
    key.chmod(0o600)

    def start() -> Process:
        ports = ("--listen", "127.0.0.1:0", "--admin-listen", f"127.0.0.1:{free_port()}")
        options = ("--store", url, "--store-key-file", str(key), "--insecure")
        return place.start("pool", *ports, *options, program=("-c", QUICK_COMMAND))

    async def main() -> None:
        first = start()
        peer = Peer(port_of(await trio.to_thread.run_sync(first.ready)))
        peer.say(HELLO)
        (node,) = (await peer.hears("group")).group.nodes

        def groups() -> list[Group]:
            return [frame.group for frame in peer.frames if frame.HasField("group")]

        second = start()
        await until(lambda: len(groups()[-1].nodes) == 2)
        assert not second.stdout, "it does not serve yet"
        other = Peer(port_of(await trio.to_thread.run_sync(second.ready)))
        other.say(HELLO)
        assert set((await other.hears("group")).group.nodes) == set(groups()[-1].nodes)
        await trio.to_thread.run_sync(second.stop)
        await until(lambda: list(groups()[-1].nodes) == [node])
        assert not groups()[-1].unknown
        for one in (peer, other):
            await call_host(one.close())

    hosted(main)
