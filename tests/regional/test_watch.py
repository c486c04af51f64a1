"""Following the store: what others have changed there becomes effective here, and what is away harms nobody."""

from typing import cast

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from protos.link.link_pb2 import Frame
from regional import watch
from regional.configuration import Configuration, OriginSecret
from regional.dial import Dialer
from regional.store import StoreError
from regional.tenants import Tenants
from regional.vault import Broken, Kept, Vault
from regional.watch import follow, load
from tests.regional.samples import configuration
from tests.support.beside import until


@attrs.define(slots=False)
class FakeVault:
    """What the follower asks of a vault."""

    kept: dict[str, Configuration] = attrs.field(factory=dict)
    broken: list[Broken] = attrs.field(factory=list)
    revisions: int = 0
    loads: int = 0
    asked: int = 0
    is_away: bool = False

    def put(self, changed: Configuration) -> None:
        self.kept[changed.name] = changed
        self.revisions += 1

    def delete(self, name: str) -> None:
        del self.kept[name]
        self.revisions += 1

    def revision(self) -> int:
        self.asked += 1
        if self.is_away:
            raise StoreError("the store is away")
        return self.revisions

    def load(self) -> tuple[list[Kept], list[Broken]]:
        self.revision()
        self.loads += 1
        return [Kept(one, OriginSecret("secret")) for one in self.kept.values()], self.broken


def versions(tenants: Tenants) -> dict[str, int]:
    return {tenant.configuration.name: tenant.configuration.version for tenant in tenants if not tenant.is_withdrawn}


def tenants_in(nursery: trio.Nursery) -> Tenants:
    return Tenants(Dialer(None), nursery, b"mock")  # type: ignore[arg-type] # nothing is dialled


async def test_what_the_store_holds_becomes_effective() -> None:
    vault = FakeVault()
    async with trio.open_nursery() as nursery:
        tenants = tenants_in(nursery)
        for name in ("one", "two"):
            vault.put(configuration(name))
        await load(tenants, cast(Vault, vault))
        assert versions(tenants) == {"one": 1, "two": 1}
        vault.put(configuration("one", version=2))
        vault.delete("two")
        await load(tenants, cast(Vault, vault))
        assert versions(tenants) == {"one": 2}


async def test_what_is_newer_here_stays() -> None:
    vault = FakeVault()
    vault.put(configuration("one", version=3))
    async with trio.open_nursery() as nursery:
        tenants = tenants_in(nursery)
        tenants.put(configuration("one", version=5), OriginSecret())
        before = tenants.get("one")
        await load(tenants, cast(Vault, vault))
        assert tenants.get("one") is before
        assert versions(tenants) == {"one": 5}


async def test_a_damaged_record_is_told_and_the_others_serve() -> None:
    vault = FakeVault(broken=[Broken("bad", "damaged")])
    vault.put(configuration("good"))
    async with trio.open_nursery() as nursery:
        tenants = tenants_in(nursery)
        with capture_logs() as logs:
            await load(tenants, cast(Vault, vault))
        assert versions(tenants) == {"good": 1}
        assert [(entry["configuration"], entry["why"]) for entry in logs] == [("bad", "damaged")]


@pytest.mark.parametrize("does", ["create", "delete"])
async def test_what_the_admin_api_does_meanwhile_is_not_undone(does: str) -> None:
    """It keeps first, then makes effective; what was read before that is old."""
    vault = FakeVault()
    vault.put(configuration("deleted"))
    async with trio.open_nursery() as nursery:
        tenants = tenants_in(nursery)
        tenants.put(configuration("deleted"), OriginSecret())
        read = vault.load

        def load_slowly() -> tuple[list[Kept], list[Broken]]:
            found = read()
            if vault.loads == 1:
                change()
            return found

        def change() -> None:
            if does == "create":
                vault.put(configuration("made"))
                trio.from_thread.run_sync(tenants.put, configuration("made"), OriginSecret())
            else:
                vault.delete("deleted")
                trio.from_thread.run_sync(tenants.withdraw, "deleted", 2)

        vault.load = load_slowly  # type: ignore[method-assign]
        made: list[Frame] = []
        tenants.push = made.append
        await load(tenants, cast(Vault, vault))
        assert versions(tenants) == ({"made": 1, "deleted": 1} if does == "create" else {})
        told = [frame for frame in made if not frame.HasField("invalidate")]
        assert len(told) == 1, "nothing was told to the edges but what the API did"


async def test_the_store_is_read_only_when_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PERIOD_S", 0.001)
    vault = FakeVault()
    async with trio.open_nursery() as nursery:
        tenants = tenants_in(nursery)
        nursery.start_soon(follow, tenants, cast(Vault, vault))
        await until(lambda: vault.asked > 5)
        assert vault.loads == 1
        vault.put(configuration("one"))
        await until(lambda: versions(tenants) == {"one": 1})
        asked = vault.asked
        await until(lambda: vault.asked > asked + 5)
        assert vault.loads == 2
        nursery.cancel_scope.cancel()


async def test_a_store_that_is_away_is_told_once_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PERIOD_S", 0.001)
    vault = FakeVault()
    vault.put(configuration("one"))
    async with trio.open_nursery() as nursery:
        tenants = tenants_in(nursery)
        nursery.start_soon(follow, tenants, cast(Vault, vault))
        await until(lambda: versions(tenants) == {"one": 1})
        with capture_logs() as logs:
            vault.is_away = True
            asked = vault.asked
            await until(lambda: vault.asked > asked + 5)
            assert versions(tenants) == {"one": 1}
            vault.is_away = False
            vault.put(configuration("one", version=2))
            await until(lambda: versions(tenants) == {"one": 2})
        assert len([entry for entry in logs if "store" in entry["event"]]) == 1
        nursery.cancel_scope.cancel()
