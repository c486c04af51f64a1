"""Configuration and secret come back as they were kept; a changed record or another key does not open."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import attrs
import msgspec
import pytest

from regional.configuration import OriginSecret
from regional.secrets import SecretBox, SecretError, StoreKeyError, TamperedError, WrongKeyError
from regional.store import NoSuchNameError, Record, StaleVersionError, Store, open_store
from regional.vault import Kept, Vault, open_vault
from tests.regional.samples import configuration

KEY = bytes(32)
SECRET = OriginSecret("hunter2", None)


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("sqlite://:memory:")
    yield store
    store.close()


@pytest.fixture
def vault(store: Store) -> Vault:
    return Vault(store, SecretBox(KEY))


def test_what_was_kept_comes_back(vault: Vault) -> None:
    vault.create(configuration("b"), SECRET)
    vault.create(configuration("a"), OriginSecret())
    assert vault.get("b") == Kept(configuration("b"), SECRET)
    assert vault.load() == ([Kept(configuration("a"), OriginSecret()), Kept(configuration("b"), SECRET)], [])


def test_a_change_must_follow_the_version_it_was_made_from(vault: Vault) -> None:
    vault.create(configuration(), SECRET)
    second = configuration(version=2, max_waiters=7)
    vault.replace(second, SECRET)
    with pytest.raises(StaleVersionError):
        vault.replace(configuration(version=2), SECRET)
    assert vault.get("demo").configuration == second


def test_what_is_learnt_is_kept_once(vault: Vault) -> None:
    vault.create(configuration(), SECRET)
    assert vault.learn("demo", {"server_version": "17.2"}).version == 2
    revision = vault.revision()
    assert vault.learn("demo", {"server_version": "17.2"}).version == 2
    assert vault.revision() == revision
    assert vault.get("demo").secret == SECRET


def tampered_host(record: Record) -> Record:
    return attrs.evolve(record, document=record.document.replace(b"db.internal", b"evil.nowhere"))


def tampered_secret(record: Record) -> Record:
    return attrs.evolve(record, sealed=record.sealed[:-1] + bytes([record.sealed[-1] ^ 1]))


def moved(record: Record) -> Record:
    return attrs.evolve(record, name="moved")


def older(record: Record) -> Record:
    return attrs.evolve(record, version=5)


@pytest.mark.parametrize("change", [tampered_host, tampered_secret, moved, older])
def test_a_record_changed_in_the_store_does_not_open(store: Store, vault: Vault, change: object) -> None:
    assert callable(change)
    vault.create(configuration(), SECRET)
    vault.create(configuration("whole"), SECRET)
    record = store.get("demo")
    assert record is not None
    changed: Record = change(record)
    store.delete("demo")
    store.create(changed)
    with pytest.raises(TamperedError, match=changed.name) as caught:
        vault.get(changed.name)
    assert "hunter2" not in str(caught.value)
    kept, broken = vault.load()
    assert [found.configuration.name for found in kept] == ["whole"]
    assert [found.name for found in broken] == [changed.name]
    vault.delete(changed.name)
    assert vault.load()[1] == []


def test_a_document_of_another_version_is_broken_and_not_a_crash(store: Store, vault: Vault) -> None:
    document = msgspec.json.encode({**msgspec.to_builtins(configuration()), "of_the_future": 1})
    sealed = SecretBox(KEY).seal(SECRET, b"onetrip configuration\0" + document)
    store.create(Record("demo", 1, document, sealed))
    with pytest.raises(TamperedError, match="written by another version of onetrip"):
        vault.get("demo")


def test_another_key_opens_nothing_and_says_so(store: Store, vault: Vault) -> None:
    vault.create(configuration(), SECRET)
    with pytest.raises(WrongKeyError, match="--store-key-file"):
        Vault(store, SecretBox(b"x" * 32)).load()


def test_a_missing_name_is_told(vault: Vault) -> None:
    for call in (lambda: vault.get("none"), lambda: vault.delete("none"), lambda: vault.learn("none", {})):
        with pytest.raises(NoSuchNameError):
            call()


def test_the_key_is_made_beside_the_file_and_found_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    vault = open_vault(url, environ={})
    vault.create(configuration(), SECRET)
    vault.close()
    assert (tmp_path / "store.db.key").exists()
    vault = open_vault(url, environ={})
    assert vault.get("demo").secret == SECRET
    vault.close()


def test_nothing_secret_is_in_the_file(tmp_path: Path) -> None:
    vault = open_vault(f"sqlite:///{tmp_path}/store.db", environ={})
    vault.create(configuration(), OriginSecret("hunter2", "a client key"))
    key = (tmp_path / "store.db.key").read_bytes().strip()
    for file in tmp_path.glob("store.db*"):
        if file.suffix != ".key":
            content = file.read_bytes()
            assert b"hunter2" not in content
            assert b"a client key" not in content
            assert key not in content
    vault.close()


def test_a_lost_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    vault = open_vault(url, environ={})
    vault.create(configuration(), SECRET)
    vault.close()
    (tmp_path / "store.db.key").unlink()
    with pytest.raises(StoreKeyError, match="is gone; restore it"):
        open_vault(url, environ={})
    assert not (tmp_path / "store.db.key").exists()


def test_a_wrong_key_ends_the_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    vault = open_vault(url, environ={})
    vault.create(configuration(), SECRET)
    vault.close()
    with pytest.raises(SecretError, match="written under another key"):
        open_vault(url, environ={"ONETRIP_POOL_STORE_KEY": "00" * 32})


def test_a_store_in_memory_needs_no_key() -> None:
    open_vault("sqlite://:memory:", environ={}).close()


def test_the_rows_hold_what_the_vault_says(tmp_path: Path) -> None:
    vault = open_vault(f"sqlite:///{tmp_path}/store.db", environ={})
    vault.create(configuration(), SECRET)
    vault.close()
    connection = sqlite3.connect(tmp_path / "store.db")
    assert connection.execute("SELECT name, version FROM configuration").fetchall() == [("demo", 1)]
    connection.close()
