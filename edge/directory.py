"""What the pool nodes have told this edge: the configurations, and what their origins report at connect.

A driver's connection is opened without a crossing because everything that it is told is here: the verifier of its
password, the origin's ParameterStatus values, and for each startup parameter the value under which the origin reports
it (rules 6). PostgreSQL canonicalises values and refuses bad ones, so a (name, value) pair that nobody has used before
is asked of the origin once, one crossing, and then known to all sessions of the configuration.

Pairs whose report is a fact of PostgreSQL need no asking: see `_fact_of`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final

import attrs

from edge.cache.answers import Answers
from edge.cache.store import Store
from edge.cache.switch import switches_in, without_switches
from edge.early import Early
from edge.handshake import Credential
from edge.memos import Settings
from protos.errors import InvalidParameterError
from protos.link.link_pb2 import Caching, Configuration, Description, Invalidate, Resolution, Setting
from protos.link.settings import from_wire
from protos.pg.messages import error_fields
from protos.pg.names import MAX_NAME_BYTES
from protos.pg.scram import ScramVerifier

Pair = tuple[str, str]

MAX_KNOWN_PAIRS: Final = 10_000  # per configuration; application_name is free text, so the oldest make room


@attrs.define(eq=False)
class Entry:
    """One configuration as this edge knows it."""

    name: str
    version: int
    credentials_version: int
    user: str
    credential: Credential
    max_client_connections: int
    wait_timeout_s: float
    idle_in_transaction_timeout_s: float
    parameters: dict[str, str]
    answers: Answers
    """Those that are kept; one for all versions of the configuration, since sessions outlive those."""
    known: dict[Pair, dict[str, str]] = attrs.field(factory=dict)
    """For each pair that the origin takes, the values that it then reports."""
    early: Early = attrs.field(factory=Early)
    """What is answered here otherwise; likewise."""

    def unknown(self, settings: Iterable[Pair]) -> list[Pair]:
        """The pairs that have to be asked of the origin."""
        return [pair for pair in settings if pair not in self.known and _fact_of(pair) is None]

    def reported(self, settings: Iterable[Pair]) -> dict[str, str]:
        """All ParameterStatus values of a session that starts with these settings, which are all known."""
        values = dict(self.parameters)
        for pair in settings:
            known = self.known.get(pair)
            values.update((_fact_of(pair) or {}) if known is None else known)
        return values

    def scope_of(self, settings: Iterable[Pair]) -> bytes:
        """A digest of the settings that may give a statement its meaning at Parse (rules 8)."""
        lower = ((name.lower(), value) for name, value in settings)
        meaning = sorted(pair for pair in lower if not _means_nothing_to_parse(pair[0]))
        return blake2b(repr(meaning).encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def settings_of(self, settings: Sequence[Setting], startup: Sequence[Setting]) -> Settings:
        """All settings of a session, with their digests; startup: those it began with, which RESET leads back to."""
        pairs = from_wire(settings)
        every = [sorted((name.lower(), value) for name, value in some) for some in (pairs, from_wire(startup))]
        state = blake2b(repr(every).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        view = blake2b(repr(sorted(_seen_by_answers(pairs))).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        sets_isolation = any(name.lower() == "default_transaction_isolation" for name, _ in pairs)
        encodings = [value for name, value in pairs if name.lower() == _ENCODING]
        is_utf8 = _is_utf8(encodings[-1] if encodings else self.parameters.get(_ENCODING, ""))
        return Settings(settings, self.scope_of(pairs), state, view, sets_isolation, switches_in(pairs), is_utf8)

    def set_parameters(self, reported: Iterable[Setting]) -> None:
        self.parameters = dict(from_wire(reported))

    def learn(self, resolutions: Iterable[Resolution]) -> None:
        """Keep what the origin takes. What it refuses today (a role that is not there) it may take tomorrow."""
        for resolution in resolutions:
            if not resolution.refusal:
                (pair,) = from_wire([resolution.setting])
                self.known.pop(pair, None)
                self.known[pair] = dict(from_wire(resolution.reported))
        while len(self.known) > MAX_KNOWN_PAIRS:
            del self.known[next(iter(self.known))]


_ENCODING: Final = "client_encoding"


def _is_utf8(encoding: str) -> bool:
    return "".join(filter(str.isalnum, encoding)).lower() in ("utf8", "unicode")


def _means_nothing_to_parse(name: str) -> bool:
    """Whether no statement is parsed in another way for this setting; of all others it is assumed."""
    return "." in name or name.endswith("_timeout") or name.startswith(("log_", "enable_")) or name in _FOR_EXECUTION


_FOR_EXECUTION: Final = frozenset({
    "application_name", "bytea_output", "client_min_messages", "default_transaction_deferrable",
    "default_transaction_isolation", "default_transaction_read_only", "effective_cache_size", "extra_float_digits",
    "jit", "maintenance_work_mem", "max_parallel_workers_per_gather", "plan_cache_mode", "random_page_cost",
    "synchronous_commit", "work_mem",
})  # fmt: skip


def _seen_by_answers(settings: Iterable[Pair]) -> list[Pair]:
    """Those settings, in lower case, that an answer may hang on; of all but a few it is assumed."""
    lower = ((name.lower(), value) for name, value in without_switches(settings))
    return [pair for pair in lower if not pair[0].endswith("_timeout") and pair[0] not in _SEEN_BY_NO_ANSWER]


_SEEN_BY_NO_ANSWER: Final = frozenset({"application_name", "client_min_messages", "default_transaction_isolation"})


class Directory:
    """All configurations, whichever pool nodes they came from."""

    def __init__(self, store: Store | None = None, clock: Callable[[], float] = lambda: 0.0) -> None:
        """store: where answers are kept, of all of them; clock: monotonic seconds."""
        self._store = Store(0) if store is None else store
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._users: dict[str, Entry] = {}
        self._is_ready = False
        self.mock_secret = b""
        self.clients: Counter[str] = Counter()
        """Authenticated clients of this edge, by configuration."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_ready(self) -> bool:
        """Whether what is not here does not exist."""
        return self._is_ready

    def ready(self, mock_secret: bytes) -> None:
        """A pool node has told all it knows."""
        self.mock_secret = mock_secret
        self._is_ready = True

    def get(self, name: str) -> Entry | None:
        return self._entries.get(name)

    def find(self, user: str, configuration: str) -> Credential | None:
        entry = self._entries.get(configuration)
        return entry.credential if entry is not None and entry.user == user else None

    def user_exists_elsewhere(self, user: str) -> Credential | None:
        entry = self._users.get(user)
        return entry.credential if entry is not None else None

    def exists(self, configuration: str) -> bool:
        return configuration in self._entries

    def put(self, pushed: Configuration) -> Entry | None:
        """Take over what a pool node pushed; None if what we have is newer."""
        old = self._entries.get(pushed.name)
        if old is not None and old.version > pushed.version:
            return None
        entry = Entry(
            name=pushed.name,
            version=pushed.version,
            credentials_version=pushed.credentials_version,
            user=pushed.user,
            credential=Credential(verifier=ScramVerifier.parse(pushed.verifier), client_auth=pushed.client_auth),
            max_client_connections=pushed.max_client_connections,
            wait_timeout_s=pushed.wait_timeout_s,
            idle_in_transaction_timeout_s=pushed.idle_in_transaction_timeout_s,
            parameters=dict(from_wire(pushed.parameters)),
            answers=Answers(self._store, self._clock) if old is None else old.answers,
        )
        entry.learn(pushed.known)
        if old is not None:
            self._users.pop(old.user, None)
            entry.early = old.early
            if old.version != entry.version or old.parameters != entry.parameters:  # its origin may be another
                entry.early.forget_all()
                entry.answers.forget_all()
            if entry.parameters == old.parameters:
                entry.known = {**old.known, **entry.known}
        early = pushed.early
        entry.early.allow(begin=early.begin, prepare=early.prepare, remember=early.remember)
        entry.answers.allow(pushed.caching)
        self._entries[entry.name] = self._users[entry.user] = entry
        return entry

    def link_is_new(self) -> None:
        """What was said while there was none has not been heard."""
        for entry in self._entries.values():
            entry.early.forget_all()
            entry.answers.forget_all()

    def invalidate(self, invalidate: Invalidate) -> None:
        """What is held about a configuration's origin no longer holds."""
        entry = self._entries.get(invalidate.configuration)
        if entry is None:
            return
        if invalidate.answers or invalidate.tables:
            entry.answers.invalidate(invalidate)
            return
        entry.early.forget_all()
        entry.answers.forget_all()
        if not invalidate.meaning:
            entry.known.clear()

    def described(self, description: Description) -> None:
        """How a statement is described now."""
        entry = self._entries.get(description.configuration)
        if entry is not None:
            entry.early.told(description.statement, description.description)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def tick(self, now: float) -> None:
        """The time, in seconds of a monotonic clock."""
        for entry in self._entries.values():
            entry.early.memos.tick(now)
        self._store.tick()

    def names(self) -> set[str]:
        return set(self._entries)

    def forget(self, name: str) -> Entry | None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._users.pop(entry.user, None)
            entry.answers.allow(Caching())
        return entry


class RefusedSettingError(InvalidParameterError):
    """The origin's own words about a startup parameter, FATAL as PostgreSQL makes it at connect."""

    def __init__(self, response: bytes) -> None:
        fields = error_fields(response)
        super().__init__(public=fields.get("M"), detail=fields.get("D"), hint=fields.get("H"))
        self.sqlstate = fields.get("C", InvalidParameterError.sqlstate)  # type: ignore[misc]


def _fact_of(pair: Pair) -> dict[str, str] | None:
    """What PostgreSQL reports for this pair whatever the database, if that is a fact of all its versions.

    Printable ASCII of up to 63 bytes is an application_name as it stands; every database but one in MULE_INTERNAL can
    send UTF8, whose name PostgreSQL reads without regard to case and punctuation.
    """
    name, value = pair[0].lower(), pair[1]
    if switches_in([pair]):
        return {}
    if name == "application_name" and value.isascii() and value.isprintable() and len(value) <= MAX_NAME_BYTES:
        return {"application_name": value}
    if name == _ENCODING and _is_utf8(value):
        return {_ENCODING: "UTF8"}
    return None
