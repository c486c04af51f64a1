"""Say which settings a StartupMessage asks for, those on the command line in its `options` among them.

Theory of operation: PostgreSQL splits `options` at white space (pg_split_opts in src/backend/utils/init/postinit.c),
reads it with getopt (process_postgres_switches in src/backend/tcop/postgres.c) and applies it first; then come the
other parameters in their order. Names of settings compare without case, and the last value of each wins. Whether a
setting exists, and takes that value, is for the origin to say.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from protos.errors import InvalidOptionsError

# These say who connects and how, and are no settings.
_NO_SETTINGS: Final = frozenset({"database", "options", "replication", "user"})
_PROTOCOL_OPTION: Final = "_pq_."

_SPACE: Final = " \t\n\v\f\r"  # isspace() in the C locale

# The switches of process_postgres_switches that set something: those without an argument, and those with one.
_FLAGS: Final = {
    "e": ("datestyle", "euro"),
    "F": ("fsync", "false"),
    "l": ("ssl", "true"),
    "O": ("allow_system_table_mods", "true"),
    "P": ("ignore_system_indexes", "true"),
    "s": ("log_statement_stats", "true"),
}
_ARGUMENTS: Final = {
    "B": "shared_buffers",
    "h": "listen_addresses",
    "k": "unix_socket_directories",
    "N": "max_connections",
    "p": "port",
    "S": "work_mem",
    "W": "post_auth_delay",
}
# -f and a letter each: set_plan_disabling_options.
_PLANS: Final = {
    "b": "enable_bitmapscan",
    "h": "enable_hashjoin",
    "i": "enable_indexscan",
    "m": "enable_mergejoin",
    "n": "enable_nestloop",
    "o": "enable_indexonlyscan",
    "s": "enable_seqscan",
    "t": "enable_tidscan",
}


def startup_settings(parameters: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the settings asked for, names in lower case and each once, with the value that PostgreSQL ends with."""
    settings = {name.lower(): value for name, value in _switches(_split(parameters.get("options", "")))}
    for name, value in parameters.items():
        if name not in _NO_SETTINGS and not name.startswith(_PROTOCOL_OPTION):
            settings[name.lower()] = value
    return list(settings.items())


def _split(options: str) -> Iterator[str]:
    """Cut at white space that has no backslash before it; a backslash makes the next character an ordinary one."""
    word: list[str] | None = None
    is_escaped = False
    for character in options:
        if character in _SPACE and not is_escaped:
            if word is not None:
                yield "".join(word)
            word = None
            continue
        word = [] if word is None else word
        if character == "\\" and not is_escaped:
            is_escaped = True
            continue
        is_escaped = False
        word.append(character)
    if word is not None:
        yield "".join(word)


def _switches(words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Read words as getopt does: letters behind one dash, an argument behind its letter or in the next word."""
    for word in words:
        if word == "--":
            break  # the end of the switches; whatever follows is one argument too many
        if not word.startswith("-") or word == "-":
            raise _refused(word)
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _FLAGS:
                yield _FLAGS[letter]
                continue
            argument = letters or next(words, None)
            if argument is None:
                raise _refused(word)
            yield _with_argument(letter, argument, word)
            break
    for word in words:
        raise _refused(word)


def _with_argument(letter: str, argument: str, word: str) -> tuple[str, str]:
    if letter in {"c", "-"}:
        name, equals, value = argument.partition("=")
        if not equals:
            text = f"--{argument} requires a value" if letter == "-" else f"-c {argument} requires a value"
            raise InvalidOptionsError(text, public=text)
        return name.replace("-", "_"), value
    if letter == "f" and argument in _PLANS:
        return _PLANS[argument], "false"
    if letter in _ARGUMENTS:
        return _ARGUMENTS[letter], argument
    raise _refused(word)


def _refused(word: str) -> InvalidOptionsError:
    text = f"invalid command-line argument for server process: {word}"
    return InvalidOptionsError(text, public=text)
