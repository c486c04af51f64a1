"""What is kept and what is published, and in which order."""

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from protos.pg.scram import ScramVerifier, verifies
from regional.admin.service import OriginCheckError, Service, connection_string
from regional.configuration import Configuration, OriginSecret
from regional.control import Acknowledgement
from regional.secrets import SecretBox
from regional.store import open_store
from regional.vault import Vault
from tests.regional.admin.fakes import FakeControl
from tests.regional.samples import NOW, configuration

GIVEN = {"name": "demo", "origin": "postgres://app:hunter2@db.internal/shop"}


@pytest.fixture
def vault() -> Iterator[Vault]:
    vault = Vault(open_store("sqlite://:memory:"), SecretBox(bytes(32)))
    yield vault
    vault.close()


def make_service(vault: Vault, control: FakeControl) -> Service:
    ticks = itertools.count()
    return Service(vault, control, lambda: NOW + timedelta(seconds=next(ticks)))


async def test_the_password_fits_the_verifier_that_is_kept(vault: Vault) -> None:
    service = make_service(vault, FakeControl())
    made = await service.create({**GIVEN, "scram_iterations": 7})
    verifier = ScramVerifier.parse(vault.get("demo").configuration.verifier)
    assert verifies(made.password, verifier)
    assert verifier.iterations == 7
    rotated = await service.rotate("demo", None)
    kept = vault.get("demo").configuration
    assert verifies(rotated.password, ScramVerifier.parse(kept.verifier))
    assert not verifies(made.password, ScramVerifier.parse(kept.verifier))
    assert kept.modified_on > kept.created_on == made.configuration.created_on


async def test_what_is_kept_is_published_in_that_order(vault: Vault) -> None:
    control = FakeControl()
    service = make_service(vault, control)
    await service.create(GIVEN)

    async with trio.open_nursery() as nursery:
        for limit in range(30, 33):
            nursery.start_soon(service.change, "demo", {"origin_connection_limit": limit})
        nursery.start_soon(service.rotate, "demo", None)
    versions = [configuration.version for configuration, _ in control.published]
    assert versions == [1, 2, 3, 4, 5]


async def test_what_the_node_learns_meanwhile_refuses_no_change(vault: Vault) -> None:
    control = FakeControl()
    service = make_service(vault, control)
    await service.create(GIVEN)
    learnt = itertools.count()

    async def learn() -> None:
        if next(learnt) < 2:
            vault.learn("demo", {"server_version": f"17.{next(learnt)}"})

    control.during_check = learn
    changed = await service.change("demo", {"origin": {"database": "other"}})
    assert vault.get("demo").configuration == changed.configuration
    assert changed.configuration.origin.database == "other"


async def test_a_change_that_changes_nothing_is_not_kept_but_is_told_again(vault: Vault) -> None:
    control = FakeControl()
    service = make_service(vault, control)
    await service.create(GIVEN)
    revision = vault.revision()
    outcome = await service.change("demo", {"max_waiters": 5000})
    assert (outcome.configuration.version, vault.revision()) == (1, revision)
    assert len(control.published) == 2


async def test_a_node_that_cannot_publish_has_lost_nothing(vault: Vault) -> None:
    class Deaf(FakeControl):
        async def publish(self, configuration: Configuration, secret: OriginSecret) -> Acknowledgement:
            raise RuntimeError

    service = make_service(vault, Deaf())
    with pytest.raises(RuntimeError):
        await service.create(GIVEN)
    assert vault.get("demo").secret.password == "hunter2"


async def test_a_test_of_the_origin_that_never_ends_is_ended(vault: Vault, autojump_clock: MockClock) -> None:
    control = FakeControl(during_check=trio.sleep_forever)
    service = make_service(vault, control)
    with pytest.raises(OriginCheckError, match=r"the origin db\.internal:5432 is silent"):
        await service.create({**GIVEN, "connect_timeout_s": 1})
    assert vault.load() == ([], [])


async def test_results_keep_the_password_out_of_their_repr(vault: Vault) -> None:
    service = make_service(vault, FakeControl())
    made = await service.create(GIVEN)
    assert made.password not in repr(made)
    assert "hunter2" not in repr(made)


@pytest.mark.parametrize(
    ("edge", "linked", "place"),
    [
        (None, [], "EDGE"),
        (None, ["a.example:1", "b:2"], "a.example:1"),
        ("c:3", ["a.example:1"], "c:3"),
        (None, ["0.0.0.0:6432"], "127.0.0.1:6432"),
        (None, ["[::]:6432"], "127.0.0.1:6432"),
        ("[::1]:5", [], "[::1]:5"),
    ],
)
def test_the_place_in_a_connection_string(edge: str | None, linked: list[str], place: str) -> None:
    string = connection_string(configuration(user="ot_u"), "pw", edge, linked)
    assert string == f"postgres://ot_u:pw@{place}/demo"
