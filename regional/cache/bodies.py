"""What a function of SQL or PL/pgSQL may write, read off the tokens of its body by the grammar's own scanner.

A body changes rows by a command, which begins with a keyword that cannot be written in another way, or by calling
something. So of the tokens: after INSERT INTO, UPDATE and DELETE FROM the relation is named; every name anywhere may be
a function's, an operator's or a view's. Other commands that change something, text that is run (EXECUTE), and what
cannot be scanned make it unknown. Comments and strings are tokens of their own and mean nothing.

PL/pgSQL is scanned by the same rules as SQL (src/pl/plpgsql/src/pl_scanner.c calls the core scanner).
"""

from functools import lru_cache
from typing import Final, NamedTuple

from regional.grammar import COMMENTS, Token, scan

INSERT, UPDATE, DELETE, TRUNCATE, CASCADE = 1, 2, 4, 8, 16

#: Any of these, wherever it stands, makes a body unknown.
_UNKNOWN: Final = frozenset({
    "alter", "call", "checkpoint", "cluster", "comment", "commit", "copy", "create", "discard", "do", "drop",
    "execute", "grant", "import", "load", "merge", "prepare", "reassign", "refresh", "reindex", "revoke", "rollback",
    "truncate", "vacuum",
})  # fmt: skip
_FOLLOWED: Final = {"insert": ("into", INSERT), "delete": ("from", DELETE)}
#: Words before UPDATE that make it part of another command: FOR UPDATE, FOR NO KEY UPDATE, ON CONFLICT DO UPDATE.
_LOCKING: Final = frozenset({"for", "key"})
_AFTER_LOCKING: Final = frozenset({"", ";", ")", "of", "nowait", "skip", "loop", "limit", "offset", "for"})
_COMMANDS: Final = _UNKNOWN | _FOLLOWED.keys() | {"update"}


class Body(NamedTuple):
    """What the tokens of a body say."""

    writes: tuple[tuple[str | None, str, int], ...]
    names: frozenset[str]
    """Whatever may be called or read: every name and operator."""


class _UnknownError(Exception):
    """The body cannot be followed."""


@lru_cache(maxsize=1024)
def body_of(source: str) -> Body | None:
    """Return what a body may write and call; None if that is not to be seen."""
    text = source.encode("utf-8", "surrogateescape")
    tokens = scan(text)
    if tokens is None:
        return None
    try:
        words = [_word(text, token) for token in tokens if token.kind not in COMMENTS]
        writes = _writes(words)
    except (_UnknownError, IndexError):
        return None
    return Body(tuple(writes), frozenset(word.removeprefix('"') for word in words if word))


def _word(text: bytes, token: Token) -> str:
    """An identifier or keyword as the parser takes it, an operator as it is; a string is nothing."""
    raw = text[token.start : token.end].decode("utf-8", "surrogateescape")
    if raw.startswith('"'):
        return '"' + raw[1:-1].replace('""', '"')
    if raw[:2].lower() == "u&" or (raw[0] != "'" and "'" not in raw and '"' in raw):
        raise _UnknownError
    return "" if "'" in raw or raw.startswith("$") else raw.lower()


def _writes(words: list[str]) -> list[tuple[str | None, str, int]]:
    writes: list[tuple[str | None, str, int]] = []
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        then = words[index + 1] if index + 1 < len(words) else ""
        if before == "." or word not in _COMMANDS:
            continue
        if word in _FOLLOWED:
            follows, how = _FOLLOWED[word]
            if then == follows:
                writes.append(_relation(words, index + 2, how))
            elif before != ",":
                raise _UnknownError
        elif word == "update":
            if before != "do" and not (before in _LOCKING and then in _AFTER_LOCKING):
                writes.append(_relation(words, index + 1, UPDATE))
        elif word == "do" and then in {"update", "nothing"}:
            writes += [(schema, name, UPDATE) for schema, name, how in writes if how == INSERT]
        elif before not in {",", "("} or word == "merge":
            raise _UnknownError
    return writes


def _relation(words: list[str], index: int, how: int) -> tuple[str | None, str, int]:
    """The name that stands at an index."""
    if words[index] == "only":
        index += 1
    first = _bare(words[index])
    if words[index + 1 : index + 2] == ["."]:
        if words[index + 3 : index + 4] == ["."]:
            raise _UnknownError
        return first, _bare(words[index + 2]), how
    return None, first, how


def _bare(word: str) -> str:
    name = word.removeprefix('"')
    if not name or not (name[0].isalpha() or name[0] == "_" or word[0] == '"'):
        raise _UnknownError
    return name
