"""`DATABASE_URL=… python -m bench.driver_scripts DRIVER [SCRIPT …]`: play a Python driver's scripts, or a program's."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Final

from bench.driver_scripts.by_programs import PROGRAMS, play_program, scripts_of
from bench.driver_scripts.stage import SCRIPTS, play, play_driver

# Imported only when asked for: a driver that is not installed takes nothing from the others.
CLASSES: Final = {
    "psycopg": "by_psycopg.Psycopg",
    "psycopg-async": "by_psycopg.PsycopgAsync",
    "psycopg-pipeline": "by_psycopg.PsycopgPipeline",
    "psycopg-cursor": "by_psycopg.PsycopgCursor",
    "psycopg2": "by_dbapi.Psycopg2",
    "pg8000": "by_dbapi.Pg8000",
    "asyncpg": "by_asyncpg.Asyncpg",
    "asyncpg-pool": "by_asyncpg.AsyncpgPool",
    "sqlalchemy-psycopg": "by_sqlalchemy.SqlAlchemy",
    "sqlalchemy-asyncpg": "by_sqlalchemy.SqlAlchemyAsync",
    "django": "by_django.Django",
}


def main(arguments: list[str]) -> int:
    """Play what is asked for, each script with a driver that has done nothing yet; 1 if one failed."""
    name, asked, url = arguments[0], arguments[1:] or SCRIPTS, os.environ["DATABASE_URL"]
    if name in PROGRAMS:
        return _status(asked, scripts_of(name), partial(play_program, name, url))
    module, _, kind = CLASSES[name].partition(".")
    driver = getattr(import_module(f"bench.driver_scripts.{module}"), kind)
    return _status(asked, driver.scripts, lambda script: play_driver(driver(url), script))


def _status(asked: Sequence[str], offered: Sequence[str], play_one: Callable[[str], None]) -> int:
    return 0 if play([script for script in asked if script in offered], play_one) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
