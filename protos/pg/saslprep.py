"""Normalise a password the way PostgreSQL does before it goes into SCRAM (RFC 4013).

Theory of operation: what looks the same should hash the same, so spaces, invisible characters and compatibility forms
are folded. PostgreSQL is more lenient than the RFC: a password that is not UTF-8, or that holds characters which the
profile prohibits, is hashed as the bytes that were given. Both ends must agree on that, else nobody gets in.

Source: src/common/saslprep.c, pg_saslprep().
"""

import stringprep
import unicodedata
from collections.abc import Callable
from typing import Final

_PROHIBITED: Final[tuple[Callable[[str], bool], ...]] = (
    stringprep.in_table_a1,  # unassigned in Unicode 3.2
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def raw_password(password: str | bytes) -> bytes:
    """Give the bytes of a password; a str may hold bytes that are not UTF-8 as surrogates (PEP 383)."""
    return password.encode("utf-8", "surrogateescape") if isinstance(password, str) else password


def prepared(password: str | bytes) -> bytes:
    """Give the bytes of password that SCRAM hashes."""
    raw = raw_password(password)
    if raw.isascii():
        return raw  # even its control characters, which the RFC prohibits: PostgreSQL looks no further either
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw
    normal = unicodedata.normalize("NFKC", "".join(map(_mapped, text)))
    if not normal or _is_prohibited(normal):
        return raw
    return normal.encode()


def _mapped(character: str) -> str:
    # U+200B is in both tables; PostgreSQL asks for spaces first.
    if stringprep.in_table_c12(character):
        return " "
    return "" if stringprep.in_table_b1(character) else character


def _is_prohibited(text: str) -> bool:
    if any(table(character) for character in text for table in _PROHIBITED):
        return True
    if not any(map(stringprep.in_table_d1, text)):
        return False
    # Right-to-left text has no left-to-right letters and is right-to-left at both ends (RFC 3454, 6).
    if any(map(stringprep.in_table_d2, text)):
        return True
    return not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1]))
