"""Every error that a caller of the admin API can meet: its status, its code, what is wrong and what to do."""

from typing import Final

from protos.errors import ServiceError
from regional.admin.service import OriginCheckError
from regional.configuration import InvalidConfigurationError, Problem
from regional.control import UnknownTableError
from regional.secrets import SecretError, TamperedError
from regional.store import (
    NameTakenError,
    NoSuchNameError,
    StaleVersionError,
    StoreError,
    StoreUnavailableError,
)

CHECK_CURE: Final = 'see to the origin\'s address, user, password and TLS mode, or send "check": false'

# The first that fits; the exception's own text says what is wrong.
TABLE: Final[tuple[tuple[type[Exception], int, str, str], ...]] = (
    (InvalidConfigurationError, 422, "invalid", "correct the fields that are named"),
    (NameTakenError, 409, "exists", "change it, delete it, or choose another name"),
    (StaleVersionError, 409, "stale", "look at the configuration and send the change again"),
    (NoSuchNameError, 404, "not_found", "GET /v1/configurations lists what there is"),
    (UnknownTableError, 404, "no_table", "write TABLE or SCHEMA.TABLE as pg_class has them, or purge without a table"),
    (OriginCheckError, 502, "origin_refused", CHECK_CURE),
    (StoreUnavailableError, 503, "store_unavailable", "see to the store and try again"),
    (StoreError, 500, "store", "see to the store"),
    (TamperedError, 500, "tampered", "delete the configuration and make it anew"),
    (SecretError, 500, "store_key", "see to the store's key"),
    (ServiceError, 503, "unavailable", "try again"),
)


class Failure(Exception):  # noqa: N818 (also a value: what a request ends with)
    """What a request ends with when it does not succeed."""

    def __init__(self, status: int, code: str, what: str, cure: str, problems: list[Problem] | None = None) -> None:
        super().__init__(what)
        self.status = status
        self.code = code
        self.what = what
        self.cure = cure
        self.problems = problems or []


def failure_of(error: Exception) -> Failure | None:
    """What the caller is told of an exception; None for one that nobody foresaw."""
    if isinstance(error, Failure):
        return error
    for kind, status, code, cure in TABLE:
        if isinstance(error, kind):
            better_cure = error.cure if isinstance(error, OriginCheckError) else None
            problems = error.problems if isinstance(error, InvalidConfigurationError) else None
            return Failure(status, code, str(error), better_cure or cure, problems)
    return None
