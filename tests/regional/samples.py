"""A configuration to start from."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from regional.configuration import Configuration, Origin

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ORIGIN = Origin(host="db.internal", database="app", user="app_user")


def configuration(name: str = "demo", **changes: Any) -> Configuration:
    """A valid configuration with the given fields."""
    made = Configuration(
        id="0" * 32,
        name=name,
        origin=ORIGIN,
        user="ot_abcdefghijkl",
        verifier="a verifier",
        created_on=NOW,
        modified_on=NOW,
    )
    return msgspec.structs.replace(made, **changes)
