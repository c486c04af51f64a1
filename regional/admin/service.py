"""What the admin API does: decide with a draft, test the origin, keep, publish.

Theory of operation: a change is kept first and published then, so that a node that dies between the two has lost
nothing. Keeping and publishing one configuration happen under its own lock: edges get changes in the order in which
they were kept. The test of the origin, which may take long, is outside the lock; a change that was overtaken
meanwhile is laid anew over what there is then. The vault blocks, so it is called in threads, and such a call is never
abandoned half-way.
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import attrs
import msgspec
import trio

from protos.errors import OriginRefusedError, ServiceError
from protos.pg.scram import make_verifier
from regional.admin.draft import read_change, read_creation
from regional.configuration import Configuration, Origin, OriginSecret
from regional.control import Acknowledgement, Control
from regional.secrets import generate_password, generate_user
from regional.store import NameTakenError, NoSuchNameError, StaleVersionError
from regional.vault import Kept, Vault

T = TypeVar("T")

SALT_BYTES: Final = 16  # as PostgreSQL
# The node ends a dial at connect_timeout_s; this only bounds a test whose node does not.
CHECK_GRACE_S: Final = 10.0
# How often a change is laid anew over what overtook it: another change, another node's, or news of the origin.
MAX_OVERTAKEN: Final = 3
WILDCARDS: Final = ("0.0.0.0", "[::]", "*", "")


class OriginCheckError(Exception):
    """The origin did not pass its test; the text is for the operator."""

    def __init__(self, cause: ServiceError) -> None:
        what = str(cause)
        if cause.detail:
            what += f" ({cause.detail})"
        super().__init__(what)
        self.cure = cause.hint


@attrs.frozen
class Outcome:
    """A change and how far it has come."""

    configuration: Configuration
    acknowledgement: Acknowledgement


@attrs.frozen
class Credentials(Outcome):
    """A change that made a password; the only place that holds it."""

    connection_string: str = attrs.field(repr=False)
    password: str = attrs.field(repr=False)


class Service:
    """The verbs of the API. Cancelling any of them leaves the store whole; what was kept takes effect at the latest
    at the next start."""

    def __init__(
        self, vault: Vault, control: Control, now: Callable[[], datetime], *, allow_plain_origin: bool = False
    ) -> None:
        self._vault = vault
        self._control = control
        self._now = now
        self._allow_plain_origin = allow_plain_origin
        self._locks: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()

    async def create(self, given: Mapping[str, object]) -> Credentials:
        """Make a configuration: credentials, a test of the origin unless declined, and news to the edges."""
        creation = read_creation(given, allow_plain_origin=self._allow_plain_origin)
        await self._refuse_taken(creation.name)
        password = generate_password()
        now = self._now()
        configuration = Configuration(
            **msgspec.structs.asdict(creation.settings),
            id=secrets.token_hex(16),
            name=creation.name,
            origin=creation.origin,
            user=generate_user(),
            verifier=await self._verifier(password, creation.settings.scram_iterations),
            created_on=now,
            modified_on=now,
        )
        if creation.check:
            configuration = await self._checked(configuration, creation.secret)
        async with self._lock(creation.name):
            # Larger than any version that a deleted configuration of this name had: edges go by the larger one.
            first = 1 + await _in_thread(self._vault.revision)
            configuration = msgspec.structs.replace(configuration, version=first, credentials_version=first)
            await _in_thread(partial(self._vault.create, configuration, creation.secret))
            return await self._publish_credentials(configuration, creation.secret, password, creation.edge)

    async def change(self, name: str, given: Mapping[str, object]) -> Outcome:
        """Change what is given and leave the rest."""
        for _ in range(MAX_OVERTAKEN):
            try:
                return await self._change_once(name, given)
            except StaleVersionError:
                if "version" in given:
                    raise
        return await self._change_once(name, given)

    async def rotate(self, name: str, edge: str | None) -> Credentials:
        """Give the clients a new password; sessions of the old one end at their next transaction boundary."""
        async with self._lock(name):
            for _ in range(MAX_OVERTAKEN):
                try:
                    return await self._rotate_once(name, edge)
                except StaleVersionError:
                    continue
            return await self._rotate_once(name, edge)

    async def delete(self, name: str) -> Acknowledgement:
        """Forget a configuration, also one whose record is damaged."""
        async with self._lock(name):
            await _in_thread(partial(self._vault.delete, name))
            return await self._control.withdraw(name)

    async def restart(self, name: str) -> None:
        """Have the origin connections of a configuration opened anew."""
        await self.get(name)
        await self._control.restart(name)

    async def purge(self, name: str, table: str | None) -> int:
        """Have the edges drop what they keep of a configuration, or of one table of it; how many were told."""
        await self.get(name)
        return await self._control.purge(name, table)

    async def get(self, name: str) -> Kept:
        return await _in_thread(partial(self._vault.get, name))

    async def list(self) -> tuple[list[Configuration], dict[str, str]]:
        """All configurations, and what is wrong with the records that do not open."""
        kept, broken = await _in_thread(self._vault.load)
        return [configuration for configuration, _ in kept], {record.name: record.what for record in broken}

    async def _change_once(self, name: str, given: Mapping[str, object]) -> Outcome:
        present, secret = await self.get(name)
        self._refuse_stale(present, given)
        change = read_change(given, present, secret, allow_plain_origin=self._allow_plain_origin)
        if change.configuration == present and change.secret == secret:
            return Outcome(present, await self._control.publish(present, secret))
        configuration = self._next(change.configuration)
        if change.check:
            configuration = await self._checked(configuration, change.secret)
        async with self._lock(name):
            await _in_thread(partial(self._vault.replace, configuration, change.secret))
            return Outcome(configuration, await self._control.publish(configuration, change.secret))

    async def _rotate_once(self, name: str, edge: str | None) -> Credentials:
        present, secret = await self.get(name)
        password = generate_password()
        configuration = msgspec.structs.replace(
            self._next(present),
            verifier=await self._verifier(password, present.scram_iterations),
            credentials_version=present.credentials_version + 1,
        )
        await _in_thread(partial(self._vault.replace, configuration, secret))
        return await self._publish_credentials(configuration, secret, password, edge)

    async def _publish_credentials(
        self, configuration: Configuration, secret: OriginSecret, password: str, edge: str | None
    ) -> Credentials:
        acknowledgement = await self._control.publish(configuration, secret)
        string = connection_string(configuration, password, edge, self._control.edge_addresses())
        return Credentials(configuration, acknowledgement, string, password)

    async def _refuse_taken(self, name: str) -> None:
        """Say so before the origin is tested; `create` itself decides."""
        try:
            await self.get(name)
        except NoSuchNameError:
            return
        raise NameTakenError(f"configuration {name} exists already")

    def _refuse_stale(self, present: Configuration, given: Mapping[str, object]) -> None:
        if "version" in given and given["version"] != present.version:
            raise StaleVersionError(f"configuration {present.name} is at version {present.version} now")

    def _next(self, configuration: Configuration) -> Configuration:
        return msgspec.structs.replace(configuration, version=configuration.version + 1, modified_on=self._now())

    async def _verifier(self, password: str, iterations: int) -> str:
        salt = secrets.token_bytes(SALT_BYTES)
        return (await _in_thread(partial(make_verifier, password, iterations, salt))).format()

    async def _checked(self, configuration: Configuration, secret: OriginSecret) -> Configuration:
        """The configuration with what the origin reported; OriginCheckError if it did not let us in."""
        limit_s = configuration.connect_timeout_s * len(configuration.origin.addresses) + CHECK_GRACE_S
        try:
            with trio.fail_after(limit_s):
                parameters = await self._control.check(configuration, secret)
        except trio.TooSlowError:
            raise OriginCheckError(OriginRefusedError(f"the origin {_place(configuration.origin)} is silent")) from None
        except ServiceError as error:
            raise OriginCheckError(error) from error
        return msgspec.structs.replace(configuration, server_parameters=parameters)

    def _lock(self, name: str) -> trio.Lock:
        return self._locks.setdefault(name, trio.Lock())


def connection_string(configuration: Configuration, password: str, edge: str | None, linked: list[str]) -> str:
    """What a client is given: HOST:PORT of the request, else of an edge, else the word EDGE."""
    place = edge or next(iter(linked), "EDGE")
    host, colon, port = place.rpartition(":")
    if colon and host in WILDCARDS:
        place = f"127.0.0.1:{port}"
    return f"postgres://{configuration.user}:{password}@{place}/{configuration.name}"


def _place(origin: Origin) -> str:
    return ", ".join(str(address) for address in origin.addresses)


async def _in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call to its end. Cancellation: takes effect before or after the call, never in it."""
    return await trio.to_thread.run_sync(call)
