"""The configurations of a pool node with their origins' secrets, sealed on the way into the store.

Theory of operation: a configuration becomes a JSON document, its secret is sealed together with that document, and
both are one record. So the store's owner can read neither the password nor change anything, a host for instance,
without the record failing to open. Calls block: async code makes them in a thread.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import attrs
import msgspec

from regional.configuration import Configuration, OriginSecret
from regional.secrets import KEY_BYTES, KEY_CURE, SecretBox, StoreKeyError, TamperedError, given_key, kept_key
from regional.store import Member, NoSuchNameError, Record, Store, open_store

# Seals of this purpose open for no other, should the key ever serve two.
CONTEXT: Final = b"onetrip configuration\0"


class Kept(NamedTuple):
    """A configuration and its origin's secret."""

    configuration: Configuration
    secret: OriginSecret


@attrs.frozen
class Broken:
    """A record that does not open; it can only be deleted."""

    name: str
    what: str


class Vault:
    """What is kept, whole."""

    def __init__(self, store: Store, box: SecretBox) -> None:
        self._store = store
        self._box = box

    def load(self) -> tuple[list[Kept], list[Broken]]:
        """All configurations by name, and the records that are damaged.

        Raises WrongKeyError when the store was written under another key: then nothing in it can be used.
        """
        kept, broken = [], []
        for record in self._store.list():
            try:
                kept.append(self._opened(record))
            except TamperedError as error:
                broken.append(Broken(record.name, str(error)))
        return kept, broken

    def get(self, name: str) -> Kept:
        """One configuration; NoSuchNameError, TamperedError, WrongKeyError."""
        record = self._store.get(name)
        if record is None:
            raise NoSuchNameError(f"there is no configuration {name}")
        return self._opened(record)

    def create(self, configuration: Configuration, secret: OriginSecret) -> None:
        """Keep a new configuration; NameTakenError."""
        self._store.create(self._sealed(configuration, secret))

    def replace(self, configuration: Configuration, secret: OriginSecret) -> None:
        """Keep a changed configuration, whose version is one more than what it was made from; StaleVersionError."""
        self._store.replace(self._sealed(configuration, secret), made_from=configuration.version - 1)

    def learn(self, name: str, server_parameters: Mapping[str, str]) -> Configuration:
        """Keep what the origin reports; returns the configuration, with a new version if that was news."""
        configuration, secret = self.get(name)
        if configuration.server_parameters == dict(server_parameters):
            return configuration
        changed = msgspec.structs.replace(
            configuration, server_parameters=dict(server_parameters), version=configuration.version + 1
        )
        self.replace(changed, secret)
        return changed

    def delete(self, name: str) -> None:
        """Forget a configuration, also one that does not open; NoSuchNameError."""
        self._store.delete(name)

    def revision(self) -> int:
        """A number that grows with every change that any node of this store makes."""
        return self._store.revision()

    @property
    def is_shared(self) -> bool:
        """Whether other pool nodes may have the same store."""
        return self._store.is_shared

    def renew(self, node: str) -> Sequence[Member]:
        """This node is there; the members of the store."""
        return self._store.renew(node)

    def leave(self, node: str) -> None:
        """This node is a member no more."""
        self._store.leave(node)

    def close(self) -> None:
        self._store.close()

    def _sealed(self, configuration: Configuration, secret: OriginSecret) -> Record:
        document = msgspec.json.encode(configuration)
        sealed = self._box.seal(secret, CONTEXT + document)
        return Record(configuration.name, configuration.version, document, sealed)

    def _opened(self, record: Record) -> Kept:
        try:
            secret = self._box.open(record.sealed, CONTEXT + record.document)
            configuration = msgspec.json.decode(record.document, type=Configuration)
        except TamperedError:
            what = f"configuration {record.name} is not what was written to the store; delete it and make it anew"
            raise TamperedError(what) from None
        except msgspec.MsgspecError as error:
            what = f"configuration {record.name} was written by another version of onetrip: {error}"
            raise TamperedError(what) from None
        if configuration.name != record.name or configuration.version != record.version:
            raise TamperedError(f"the record {record.name} holds another configuration; delete it and make it anew")
        return Kept(configuration, secret)


def open_vault(url: str, key_file: str | None = None, environ: Mapping[str, str] | None = None) -> Vault:
    """Open store and key as the pool node's options name them; StoreError, SecretError, StateError."""
    store = open_store(url, environ)
    try:
        vault = Vault(store, SecretBox(_key(store, key_file, environ)))
        vault.load()  # a wrong key is an error of the start, not of the first request
    except BaseException:
        store.close()
        raise
    return vault


def _key(store: Store, key_file: str | None, environ: Mapping[str, str] | None) -> bytes:
    key = given_key(key_file, environ)
    if key is not None:
        return key
    if store.is_temporary:
        return secrets.token_bytes(KEY_BYTES)
    if store.key_path is None:
        what = "a shared store needs a key that all its pool nodes have; give --store-key-file"
        raise StoreKeyError(f"{what} ({KEY_CURE})")
    return kept_key(store.key_path, may_make=not store.list())
