from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    TERMINATED: _ClassVar[Reason]
    LOST: _ClassVar[Reason]
    REFUSED: _ClassVar[Reason]
    ENDED: _ClassVar[Reason]
REASON_UNSPECIFIED: Reason
TERMINATED: Reason
LOST: Reason
REFUSED: Reason
ENDED: Reason

class Batch(_message.Message):
    __slots__ = ("frames", "acknowledged_bytes")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_BYTES_FIELD_NUMBER: _ClassVar[int]
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    acknowledged_bytes: int
    def __init__(self, frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ..., acknowledged_bytes: _Optional[int] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("channel", "data", "settled", "status", "hello", "welcome", "configuration", "withdraw", "applied", "open", "credit", "cancel", "close", "invalidate", "go_away", "ping", "pong", "statement", "resolve", "resolved", "state", "description", "begin", "choice", "failed", "worded", "ask", "verdict", "group", "statuses", "ddl")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    WITHDRAW_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    INVALIDATE_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    RESOLVE_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    WORDED_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    DDL_FIELD_NUMBER: _ClassVar[int]
    channel: int
    data: bytes
    settled: int
    status: int
    hello: Hello
    welcome: Welcome
    configuration: Configuration
    withdraw: Withdraw
    applied: Applied
    open: Open
    credit: Credit
    cancel: Cancel
    close: Close
    invalidate: Invalidate
    go_away: GoAway
    ping: Ping
    pong: Ping
    statement: Statement
    resolve: Resolve
    resolved: Resolved
    state: State
    description: Description
    begin: Begin
    choice: Choice
    failed: Failed
    worded: Worded
    ask: Ask
    verdict: Verdict
    group: Group
    statuses: Statuses
    ddl: Ddl
    def __init__(self, channel: _Optional[int] = ..., data: _Optional[bytes] = ..., settled: _Optional[int] = ..., status: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., configuration: _Optional[_Union[Configuration, _Mapping]] = ..., withdraw: _Optional[_Union[Withdraw, _Mapping]] = ..., applied: _Optional[_Union[Applied, _Mapping]] = ..., open: _Optional[_Union[Open, _Mapping]] = ..., credit: _Optional[_Union[Credit, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., close: _Optional[_Union[Close, _Mapping]] = ..., invalidate: _Optional[_Union[Invalidate, _Mapping]] = ..., go_away: _Optional[_Union[GoAway, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., pong: _Optional[_Union[Ping, _Mapping]] = ..., statement: _Optional[_Union[Statement, _Mapping]] = ..., resolve: _Optional[_Union[Resolve, _Mapping]] = ..., resolved: _Optional[_Union[Resolved, _Mapping]] = ..., state: _Optional[_Union[State, _Mapping]] = ..., description: _Optional[_Union[Description, _Mapping]] = ..., begin: _Optional[_Union[Begin, _Mapping]] = ..., choice: _Optional[_Union[Choice, _Mapping]] = ..., failed: _Optional[_Union[Failed, _Mapping]] = ..., worded: _Optional[_Union[Worded, _Mapping]] = ..., ask: _Optional[_Union[Ask, _Mapping]] = ..., verdict: _Optional[_Union[Verdict, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., statuses: _Optional[_Union[Statuses, _Mapping]] = ..., ddl: _Optional[_Union[Ddl, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("version", "node", "release", "address", "advertise")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ADVERTISE_FIELD_NUMBER: _ClassVar[int]
    version: int
    node: str
    release: str
    address: str
    advertise: str
    def __init__(self, version: _Optional[int] = ..., node: _Optional[str] = ..., release: _Optional[str] = ..., address: _Optional[str] = ..., advertise: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("version", "node", "release", "mock_secret", "configurations")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    MOCK_SECRET_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATIONS_FIELD_NUMBER: _ClassVar[int]
    version: int
    node: str
    release: str
    mock_secret: bytes
    configurations: int
    def __init__(self, version: _Optional[int] = ..., node: _Optional[str] = ..., release: _Optional[str] = ..., mock_secret: _Optional[bytes] = ..., configurations: _Optional[int] = ...) -> None: ...

class Setting(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: bytes
    value: bytes
    def __init__(self, name: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class Configuration(_message.Message):
    __slots__ = ("name", "version", "credentials_version", "user", "verifier", "client_auth", "max_client_connections", "wait_timeout_s", "parameters", "known", "idle_in_transaction_timeout_s", "early", "caching")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_VERSION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    VERIFIER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_AUTH_FIELD_NUMBER: _ClassVar[int]
    MAX_CLIENT_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    IDLE_IN_TRANSACTION_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    EARLY_FIELD_NUMBER: _ClassVar[int]
    CACHING_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    credentials_version: int
    user: str
    verifier: str
    client_auth: str
    max_client_connections: int
    wait_timeout_s: float
    parameters: _containers.RepeatedCompositeFieldContainer[Setting]
    known: _containers.RepeatedCompositeFieldContainer[Resolution]
    idle_in_transaction_timeout_s: float
    early: Early
    caching: Caching
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., credentials_version: _Optional[int] = ..., user: _Optional[str] = ..., verifier: _Optional[str] = ..., client_auth: _Optional[str] = ..., max_client_connections: _Optional[int] = ..., wait_timeout_s: _Optional[float] = ..., parameters: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., known: _Optional[_Iterable[_Union[Resolution, _Mapping]]] = ..., idle_in_transaction_timeout_s: _Optional[float] = ..., early: _Optional[_Union[Early, _Mapping]] = ..., caching: _Optional[_Union[Caching, _Mapping]] = ...) -> None: ...

class Caching(_message.Message):
    __slots__ = ("enabled", "in_transactions", "is_read_committed", "stale_if_unreachable_s")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    IN_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    IS_READ_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    STALE_IF_UNREACHABLE_S_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    in_transactions: bool
    is_read_committed: bool
    stale_if_unreachable_s: float
    def __init__(self, enabled: bool = ..., in_transactions: bool = ..., is_read_committed: bool = ..., stale_if_unreachable_s: _Optional[float] = ...) -> None: ...

class Early(_message.Message):
    __slots__ = ("begin", "prepare", "remember")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    PREPARE_FIELD_NUMBER: _ClassVar[int]
    REMEMBER_FIELD_NUMBER: _ClassVar[int]
    begin: bool
    prepare: bool
    remember: bool
    def __init__(self, begin: bool = ..., prepare: bool = ..., remember: bool = ...) -> None: ...

class Withdraw(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class Applied(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("configuration", "credentials_version", "settings", "process_id", "secret_key", "present")
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_VERSION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    configuration: str
    credentials_version: int
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    process_id: int
    secret_key: bytes
    present: _containers.RepeatedCompositeFieldContainer[Setting]
    def __init__(self, configuration: _Optional[str] = ..., credentials_version: _Optional[int] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., process_id: _Optional[int] = ..., secret_key: _Optional[bytes] = ..., present: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ...) -> None: ...

class State(_message.Message):
    __slots__ = ("settings", "pinned", "given")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    pinned: bool
    given: bool
    def __init__(self, settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., pinned: bool = ..., given: bool = ...) -> None: ...

class Choice(_message.Message):
    __slots__ = ("id", "name", "options", "plain", "use", "behind")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    PLAIN_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: bytes
    options: _containers.RepeatedCompositeFieldContainer[Option]
    plain: bool
    use: bytes
    behind: bool
    def __init__(self, id: _Optional[int] = ..., name: _Optional[bytes] = ..., options: _Optional[_Iterable[_Union[Option, _Mapping]]] = ..., plain: bool = ..., use: _Optional[bytes] = ..., behind: bool = ...) -> None: ...

class Option(_message.Message):
    __slots__ = ("outcomes", "statement", "sql", "stays")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SQL_FIELD_NUMBER: _ClassVar[int]
    STAYS_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[Outcome]
    statement: bytes
    sql: bool
    stays: bool
    def __init__(self, outcomes: _Optional[_Iterable[_Union[Outcome, _Mapping]]] = ..., statement: _Optional[bytes] = ..., sql: bool = ..., stays: bool = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("sync_point", "place", "failed")
    SYNC_POINT_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    sync_point: int
    place: int
    failed: bool
    def __init__(self, sync_point: _Optional[int] = ..., place: _Optional[int] = ..., failed: bool = ...) -> None: ...

class Failed(_message.Message):
    __slots__ = ("sync_point", "end", "place")
    SYNC_POINT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    sync_point: int
    end: int
    place: int
    def __init__(self, sync_point: _Optional[int] = ..., end: _Optional[int] = ..., place: _Optional[int] = ...) -> None: ...

class Worded(_message.Message):
    __slots__ = ("error", "sync_point", "place")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SYNC_POINT_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    error: bytes
    sync_point: int
    place: int
    def __init__(self, error: _Optional[bytes] = ..., sync_point: _Optional[int] = ..., place: _Optional[int] = ...) -> None: ...

class Begin(_message.Message):
    __slots__ = ("statements", "failed")
    STATEMENTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    statements: _containers.RepeatedScalarFieldContainer[bytes]
    failed: bool
    def __init__(self, statements: _Optional[_Iterable[bytes]] = ..., failed: bool = ...) -> None: ...

class Credit(_message.Message):
    __slots__ = ("bytes",)
    BYTES_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    def __init__(self, bytes: _Optional[int] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ("process_id", "secret_key", "number")
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_KEY_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    process_id: int
    secret_key: bytes
    number: bytes
    def __init__(self, process_id: _Optional[int] = ..., secret_key: _Optional[bytes] = ..., number: _Optional[bytes] = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ("reason", "error")
    REASON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    error: bytes
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., error: _Optional[bytes] = ...) -> None: ...

class Invalidate(_message.Message):
    __slots__ = ("configuration", "meaning", "answers", "tables")
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    configuration: str
    meaning: bool
    answers: bool
    tables: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, configuration: _Optional[str] = ..., meaning: bool = ..., answers: bool = ..., tables: _Optional[_Iterable[int]] = ...) -> None: ...

class Ddl(_message.Message):
    __slots__ = ("configurations", "node", "number")
    CONFIGURATIONS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    configurations: _containers.RepeatedScalarFieldContainer[str]
    node: str
    number: int
    def __init__(self, configurations: _Optional[_Iterable[str]] = ..., node: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class Ask(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("why", "only_now", "tables", "max_age_s", "stale_while_revalidate_s")
    WHY_FIELD_NUMBER: _ClassVar[int]
    ONLY_NOW_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_S_FIELD_NUMBER: _ClassVar[int]
    STALE_WHILE_REVALIDATE_S_FIELD_NUMBER: _ClassVar[int]
    why: str
    only_now: bool
    tables: _containers.RepeatedScalarFieldContainer[int]
    max_age_s: float
    stale_while_revalidate_s: float
    def __init__(self, why: _Optional[str] = ..., only_now: bool = ..., tables: _Optional[_Iterable[int]] = ..., max_age_s: _Optional[float] = ..., stale_while_revalidate_s: _Optional[float] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("nodes", "unknown")
    NODES_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    unknown: bool
    def __init__(self, nodes: _Optional[_Iterable[str]] = ..., unknown: bool = ...) -> None: ...

class Statuses(_message.Message):
    __slots__ = ("configuration", "hits", "stale", "misses", "uncacheable", "disabled", "transaction", "bypassed", "entries", "bytes", "late_hits", "renewals")
    class UncacheableEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    MISSES_FIELD_NUMBER: _ClassVar[int]
    UNCACHEABLE_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    BYPASSED_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    LATE_HITS_FIELD_NUMBER: _ClassVar[int]
    RENEWALS_FIELD_NUMBER: _ClassVar[int]
    configuration: str
    hits: int
    stale: int
    misses: int
    uncacheable: _containers.ScalarMap[str, int]
    disabled: int
    transaction: int
    bypassed: int
    entries: int
    bytes: int
    late_hits: int
    renewals: int
    def __init__(self, configuration: _Optional[str] = ..., hits: _Optional[int] = ..., stale: _Optional[int] = ..., misses: _Optional[int] = ..., uncacheable: _Optional[_Mapping[str, int]] = ..., disabled: _Optional[int] = ..., transaction: _Optional[int] = ..., bypassed: _Optional[int] = ..., entries: _Optional[int] = ..., bytes: _Optional[int] = ..., late_hits: _Optional[int] = ..., renewals: _Optional[int] = ...) -> None: ...

class Description(_message.Message):
    __slots__ = ("configuration", "statement", "description")
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    configuration: str
    statement: bytes
    description: bytes
    def __init__(self, configuration: _Optional[str] = ..., statement: _Optional[bytes] = ..., description: _Optional[bytes] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("why",)
    WHY_FIELD_NUMBER: _ClassVar[int]
    why: str
    def __init__(self, why: _Optional[str] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class Statement(_message.Message):
    __slots__ = ("slot", "parse")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    PARSE_FIELD_NUMBER: _ClassVar[int]
    slot: int
    parse: bytes
    def __init__(self, slot: _Optional[int] = ..., parse: _Optional[bytes] = ...) -> None: ...

class Resolve(_message.Message):
    __slots__ = ("id", "configuration", "settings")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    id: int
    configuration: str
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    def __init__(self, id: _Optional[int] = ..., configuration: _Optional[str] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ...) -> None: ...

class Resolution(_message.Message):
    __slots__ = ("setting", "reported", "refusal")
    SETTING_FIELD_NUMBER: _ClassVar[int]
    REPORTED_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    setting: Setting
    reported: _containers.RepeatedCompositeFieldContainer[Setting]
    refusal: bytes
    def __init__(self, setting: _Optional[_Union[Setting, _Mapping]] = ..., reported: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., refusal: _Optional[bytes] = ...) -> None: ...

class Resolved(_message.Message):
    __slots__ = ("id", "resolutions", "parameters", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESOLUTIONS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: int
    resolutions: _containers.RepeatedCompositeFieldContainer[Resolution]
    parameters: _containers.RepeatedCompositeFieldContainer[Setting]
    error: bytes
    def __init__(self, id: _Optional[int] = ..., resolutions: _Optional[_Iterable[_Union[Resolution, _Mapping]]] = ..., parameters: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., error: _Optional[bytes] = ...) -> None: ...
