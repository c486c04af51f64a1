"""Sizes in memory as people write them: 268435456, 64KiB, 256MiB, 1.5GiB."""

import re
from typing import Final

import click

UNITS: Final = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
# More than any machine has; a slip of the keyboard is not to be taken for a wish.
MAX_BYTES: Final = 1 << 40
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Read a number of bytes; ValueError says what is wrong with it."""
    match = _SIZE.fullmatch(text.strip())
    factor = UNITS.get(match[2].upper()) if match is not None else None
    if match is None or factor is None:
        raise ValueError("must be a number of bytes, or one with KiB, MiB or GiB behind it")
    size = int(float(match[1]) * factor)
    if size > MAX_BYTES:
        raise ValueError("must be at most 1024GiB")
    return size


def format_size(size: int) -> str:
    """The shortest text that `parse_size` reads as this size."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % UNITS[unit.upper()] == 0:
            return f"{size // UNITS[unit.upper()]}{unit}"
    return str(size)


class Size(click.ParamType[int]):
    """A size in bytes."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
