"""What the admin API asks of this node, done."""

import msgspec
import pytest
import trio

from protos.errors import OriginRefusedError, UnknownConfigurationError
from protos.link.link_pb2 import Applied, Ddl, Frame, Hello, Statuses
from protos.link.version import PROTOCOL_VERSION
from protos.pg.messages import query
from regional import control_here, knowledge
from regional.configuration import Configuration, OriginSecret
from regional.control_here import ControlHere
from regional.server import EdgeLink, LinkServer
from regional.store import StoreError
from tests.regional.test_watch import FakeVault
from tests.support.beside import PoolSide, beside, configuration_for, turns, until
from tests.support.cluster import Origin


class LearningVault(FakeVault):
    """One that keeps what the origin reports."""

    def learn(self, name: str, parameters: dict[str, str]) -> Configuration:
        if self.is_away:
            raise StoreError("the store is away")
        old = self.kept[name]
        learnt = msgspec.structs.replace(old, server_parameters=parameters, version=old.version + 1)
        self.put(learnt)
        return learnt


def control_of(side: PoolSide, vault: FakeVault | None = None) -> tuple[ControlHere, LinkServer]:
    links = LinkServer(side.tenants, checks_role=False)
    return ControlHere(side.tenants, links, vault or LearningVault(), side.nursery), links  # type: ignore[arg-type]


def linked(side: PoolSide, links: LinkServer, address: str, advertise: str = "") -> EdgeLink:
    """A linked edge that says nothing."""
    link = EdgeLink(side.tenants, "pool", "peer")
    link._on_frame(
        Frame(hello=Hello(version=PROTOCOL_VERSION, node=f"at {address}", address=address, advertise=advertise))
    )
    link.on_applied = links._notify
    links.links.add(link)
    return link


@beside
async def test_checking_dials_once_and_keeps_nothing(side: PoolSide, origin: Origin) -> None:
    control, _ = control_of(side)
    parameters = await control.check(configuration_for(origin), OriginSecret(origin.password))
    assert parameters["server_version"].startswith(str(origin.major))
    await until(lambda: len(side.pump) == 0)
    with pytest.raises(OriginRefusedError):
        await control.check(configuration_for(origin), OriginSecret("wrong"))
    assert len(side.pump) == 0


@beside
async def test_what_the_check_has_learnt_is_there_for_the_first_lease(side: PoolSide, origin: Origin) -> None:
    control, _ = control_of(side)
    made, secret = configuration_for(origin), OriginSecret(origin.password)
    await control.check(made, secret)
    edge = side.edge()
    await control.publish(made, secret)
    assert side.tenant.knowledge.judge.catalog is not None
    assert side.tenant.names.knows_catalog
    assert not side.tenant.pool.size, "nothing is kept open for it"
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"
    await side.quiet()
    assert side.tenant.pool.total_leases == 1, "the catalogue is not read once more"


@beside
async def test_what_was_learnt_of_another_origin_is_not_used(side: PoolSide, origin: Origin) -> None:
    control, _ = control_of(side)
    made, secret = configuration_for(origin), OriginSecret(origin.password)
    await control.check(made, secret)
    moved = msgspec.structs.replace(made, origin=msgspec.structs.replace(made.origin, database="postgres"))
    await control.publish(moved, secret)
    assert side.tenant.knowledge.judge.catalog is None
    await control.publish(made, secret)
    assert side.tenant.knowledge.judge.catalog is None, "it may be old by now"


@beside
async def test_a_catalogue_that_ddl_has_made_old_is_not_handed_down(side: PoolSide, origin: Origin) -> None:
    control, _ = control_of(side)
    made, secret = configuration_for(origin), OriginSecret(origin.password)
    await control.check(made, secret)
    side.tenants.ddl.heard(Ddl(configurations=["beside"], node="another", number=1), lambda frame: None)
    await control.publish(made, secret)
    assert side.tenant.knowledge.judge.catalog is None


@beside
async def test_an_origin_whose_catalogue_cannot_be_read_passes_its_check(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "NAMES_QUERY", "select pg_sleep(60)")
    monkeypatch.setattr(control_here, "LOOK_LIMIT_S", 0.05)
    control, _ = control_of(side)
    parameters = await control.check(configuration_for(origin), OriginSecret(origin.password))
    assert parameters["server_version"]
    await until(lambda: len(side.pump) == 0)


@beside
async def test_publishing_returns_when_every_edge_has_it(side: PoolSide, origin: Origin) -> None:
    control, links = control_of(side)
    made = configuration_for(origin, version=3)
    none = await control.publish(made, OriginSecret())
    assert (none.linked, none.acknowledged) == (0, 0)
    link = linked(side, links, "192.0.2.1:1")

    async def apply() -> None:
        await trio.sleep(0.01)
        link._on_frame(Frame(applied=Applied(name="app", version=3)))

    side.nursery.start_soon(apply)
    done = await control.publish(made, OriginSecret())
    assert (done.linked, done.acknowledged) == (1, 1)


@beside
async def test_an_edge_that_says_nothing_is_waited_for_only_so_long(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_here, "ACKNOWLEDGE_TIMEOUT_S", 0.02)
    control, links = control_of(side)
    linked(side, links, "192.0.2.1:1")
    done = await control.publish(configuration_for(origin), OriginSecret())
    assert (done.linked, done.acknowledged) == (1, 0)
    gone = await control.withdraw("app")
    assert (gone.linked, gone.acknowledged) == (1, 0)
    assert side.tenants.get("app") is None
    await control.withdraw("app")


@beside
async def test_restarting_retires_the_connections(side: PoolSide, origin: Origin) -> None:
    control, _ = control_of(side)
    side.serve(origin)
    await side.alone()
    (connected,) = side.tenant.pool.idle
    await control.restart("app")
    assert connected.connection.is_closed
    with pytest.raises(UnknownConfigurationError):
        await control.restart("nobody")


@beside
async def test_a_purge_reaches_every_linked_edge(
    side: PoolSide, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    control, links = control_of(side)
    side.tenants.push = links.push
    side.serve(origin)
    told: list[Frame] = []
    for address in ("192.0.2.1:1", "192.0.2.2:1"):
        monkeypatch.setattr(linked(side, links, address), "push", told.append)
    links.links.add(EdgeLink(side.tenants, "pool", "peer"))  # has not said hello
    assert await control.purge("app", None) == 2
    assert [(frame.invalidate.configuration, frame.invalidate.answers) for frame in told] == [("app", True)] * 2
    with pytest.raises(UnknownConfigurationError):
        await control.purge("nobody", None)
    assert len(told) == 2


@beside
async def test_the_status_has_what_edges_say_of_configurations_that_exist(side: PoolSide, origin: Origin) -> None:
    control, links = control_of(side)
    side.serve(origin)
    assert control.status().caches == ()
    for name in ("app", "deleted"):
        links.served.take("edge-1", Statuses(configuration=name, hits=3, misses=1, entries=1))
    (cache,) = control.status().caches
    assert (cache.configuration, cache.hits, cache.hit_rate) == ("app", 3, 0.75)


@beside
async def test_the_status_counts_like_pgbouncer(side: PoolSide, origin: Origin) -> None:
    control, links = control_of(side)
    edge = side.serve(origin, origin_connection_limit=5)
    links.links.add(edge.link)
    await side.known()
    holders = [edge.client() for _ in range(4)]
    for holder in holders:
        await holder.ask(query(b"begin"))
    (pool,) = control.status().pools
    assert (pool.configuration, pool.cl_active, pool.cl_waiting, pool.sv_active) == ("app", 4, 0, 4)
    assert pool.size == pool.sv_active + pool.sv_idle + pool.sv_login <= pool.limit == 5
    last, waiter = edge.client(), edge.client()
    await last.ask(query(b"begin"))
    waiter.send(query(b"select 1"))
    await turns()
    status = control.status()
    (pool,), (link,) = status.pools, status.links
    assert (pool.cl_active, pool.cl_waiting, pool.sv_active, pool.sv_idle) == (5, 1, 5, 0)
    assert pool.maxwait > 0
    assert (pool.bound, pool.bound_by) == (5, "limit")
    assert pool.total_leases >= 5
    assert status.ready
    assert (link.edge, link.channels) == ("edge-test", 6)
    assert link.received_bytes > 0
    links.is_draining = True
    assert not control.status().ready


@beside
async def test_what_is_advertised_comes_before_where_edges_listen(side: PoolSide) -> None:
    control, links = control_of(side)
    assert control.edge_addresses() == []
    for address, advertise in (
        ("0.0.0.0:7001", ""), ("[::]:7002", ""), ("192.0.2.7:7003", "db.example:6432"), ("", "db.example:6432"),
    ):  # fmt: skip
        linked(side, links, address, advertise)
    silent = EdgeLink(side.tenants, "pool", "peer")
    links.links.add(silent)
    addresses = control.edge_addresses()
    assert addresses[0] == "db.example:6432"
    assert sorted(addresses[1:]) == ["127.0.0.1:7001", "127.0.0.1:7002", "192.0.2.7:7003"]


@beside
async def test_what_the_origin_reports_is_kept(side: PoolSide, origin: Origin) -> None:
    vault = LearningVault()
    control, _ = control_of(side, vault)
    side.tenants.on_learnt = control.learnt
    vault.put(configuration_for(origin))
    edge = side.serve(origin)
    await edge.client().ask(query(b"select 1"))
    await until(lambda: vault.kept["app"].server_parameters.get("server_encoding") == "UTF8")
    await until(lambda: side.tenant.configuration.version == 2)


@beside
async def test_a_store_that_is_away_does_not_matter_to_what_was_learnt(side: PoolSide, origin: Origin) -> None:
    vault = LearningVault()
    control, _ = control_of(side, vault)
    side.tenants.on_learnt = control.learnt
    vault.put(configuration_for(origin))
    vault.is_away = True
    edge = side.serve(origin)
    assert (await edge.client().ask(query(b"select 1"))).value == b"1"
    await turns()
    assert side.tenant.configuration.version == 1
