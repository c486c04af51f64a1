"""How the settings of a session travel: pairs of text at both ends, bytes between them.

A client may send names and values that are not UTF-8; surrogate escapes carry them, and PostgreSQL is to refuse them.
"""

from collections.abc import Iterable
from typing import Final

from protos.link.link_pb2 import Setting

SETTLING: Final = 0x100
"""Beside the transaction status in a frame: a State of the session follows (link.proto)."""

UNCERTAIN: Final = 0x200
"""Likewise: this transaction may have changed what statements mean, so the edge answers nothing itself."""

FACT: Final = 0x400
"""Likewise: the answer, and what the request did to its session, are a function of the session's settings."""

CATALOG: Final = 0x800
"""Beside FACT: and of the catalogue, so it holds for a while only."""

KEEP: Final = 0x1000
"""Likewise: this answer may be kept as the Verdict before it has said."""


def to_wire(pairs: Iterable[tuple[str, str]]) -> list[Setting]:
    return [Setting(name=raw(name), value=raw(value)) for name, value in pairs]


def from_wire(settings: Iterable[Setting]) -> list[tuple[str, str]]:
    return [(text(setting.name), text(setting.value)) for setting in settings]


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def raw(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")
