"""Why an origin could not be logged in to: what our log says, what the client may read, and the cure.

Theory of operation: one function a reason, each making the error that ends the login. What the origin itself said is
for us and for whoever administers the configuration; it may name hosts and users that are no client's business.
"""

from collections.abc import Mapping
from typing import Final

from protos.errors import OriginRefusedError

# SQLSTATE classes whose messages name nobody and tell a client whether to wait: no resources; starting or stopping.
_TELLABLE: Final = frozenset({"53", "57"})
_MAX_SHOWN: Final = 100

# What an AuthenticationXxx may ask for that we cannot give: AUTH_REQ_* of src/include/libpq/protocol.h.
OTHER_METHODS: Final = {2: "Kerberos V5", 6: "SCM credentials", 7: "GSSAPI", 8: "GSSAPI", 9: "SSPI"}


def _refusal(message: str, detail: str, hint: str | None = None) -> OriginRefusedError:
    return OriginRefusedError(message, detail=detail, hint=hint)


def bytes_before_tls() -> OriginRefusedError:
    """Whoever sent them was not inside TLS, and they would pass for something said inside (rules 26)."""
    return _refusal("bytes came between the SSLRequest and TLS", "The database sent data before TLS was up.")


def no_tls() -> OriginRefusedError:
    return _refusal(
        "the origin does not offer TLS",
        "The database does not offer TLS, and the configuration asks for it.",
        "Switch ssl on at the database, or set the configuration's sslmode to disable where that is allowed.",
    )


def error_before_tls() -> OriginRefusedError:
    """Said before the origin has shown who it is: not to be believed, let alone repeated (CVE-2024-10977)."""
    return _refusal("the origin answered the SSLRequest with an error", "The database refused to talk about TLS.")


def not_postgresql() -> OriginRefusedError:
    return _refusal(
        "the origin answered the SSLRequest with something else",
        "What answers at the database's address does not speak PostgreSQL's protocol.",
        "Check the host and port of the configuration's origin.",
    )


def protocol_broken(problem: str) -> OriginRefusedError:
    return _refusal(f"the origin broke the protocol: {problem}", "The database did not follow PostgreSQL's protocol.")


def no_password() -> OriginRefusedError:
    return _refusal(
        "the origin asks for a password and the configuration has none",
        "The database asks for a password, and the configuration has none.",
        "Give the configuration the origin's password.",
    )


def plain_password(what: str) -> OriginRefusedError:
    """Whoever sits in between could read it, or crack it at leisure (rules 28)."""
    return _refusal(
        f"the origin asks for {what}, and the connection to it is not verified",
        f"The database asks for {what}, which is not sent over a connection that is not verified.",
        "Set the configuration's sslmode to verify-full or verify-ca, store the password at the database as "
        "scram-sha-256, or let the configuration allow plain passwords.",
    )


def unknown_method(name: str) -> OriginRefusedError:
    return _refusal(
        f"the origin asks for {name[:_MAX_SHOWN]}",
        f"The database asks for {name[:_MAX_SHOWN]}, which is not supported.",
        "Let pg_hba.conf at the database ask the pool node for scram-sha-256.",
    )


def refused_by_origin(fields: Mapping[str, str]) -> OriginRefusedError:
    """The origin's own ErrorResponse."""
    sqlstate, text = fields.get("C", "?????"), fields.get("M", "")
    said = f"{sqlstate}: {text}" if sqlstate[:2] in _TELLABLE else sqlstate
    return _refusal(f"the origin refused the login: {sqlstate}: {text}", f"The database answered with {said}.")
