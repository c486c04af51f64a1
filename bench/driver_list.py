"""The drivers: how each is called, how its scripts are started, and what is missing if they cannot be."""

import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import attrs

from bench.workspace import ROOT, Place, UnavailableError, Workspace

SCRIPTS: Final = ROOT / "bench" / "driver_scripts"
JDBC: Final = Path("/usr/share/java/postgresql.jar")
GO_PATH: Final = Path("/usr/share/gocode")
PGX: Final = "github.com/jackc/pgx/v4"


@attrs.frozen
class Driver:
    """One of the drivers, or one of its modes."""

    name: str
    title: str
    command: Callable[[Workspace | None, str], list[str]]
    """The command line up to the names of scripts; UnavailableError says what is missing."""

    def argv(self, workspace: Workspace | None = None) -> list[str]:
        """The command line up to the names of the scripts. What must be built is built in the workspace."""
        return self.command(workspace, self.name)


def _python(module: str) -> Callable[[Workspace | None, str], list[str]]:
    def command(_: Workspace | None, name: str) -> list[str]:
        if find_spec(module) is None:
            raise UnavailableError(f"the Python package {module} is not installed (`make environment`)")
        return [sys.executable, "-m", "bench.driver_scripts", name]

    return command


def _program(_: Workspace | None, name: str) -> list[str]:
    program = name.partition("-")[0]
    if shutil.which(program) is None:
        raise UnavailableError(f"{program} is not installed (package postgresql-client or postgresql)")
    return [sys.executable, "-m", "bench.driver_scripts", name]


def _node(package: str) -> Callable[[Workspace | None, str], list[str]]:
    def command(_: Workspace | None, name: str) -> list[str]:
        if (program := shutil.which("node")) is None:
            raise UnavailableError("node is not installed (package nodejs)")
        if not (SCRIPTS / "node" / "node_modules" / package).is_dir():
            raise UnavailableError(f"{package} from npm is not installed (`make node`)")
        return [program, "--no-deprecation", str(SCRIPTS / "node" / "drivers.mjs"), name]

    return command


def _java(_: Workspace | None, __: str) -> list[str]:
    if (program := shutil.which("java")) is None or shutil.which("javac") is None:
        raise UnavailableError("a JDK is not installed (package default-jdk-headless)")
    if not JDBC.exists():
        raise UnavailableError("pgjdbc is not installed (package libpostgresql-jdbc-java)")
    return [program, "-cp", str(JDBC), str(SCRIPTS / "java" / "Drivers.java")]


def _go(workspace: Workspace | None, _: str) -> list[str]:
    if (program := shutil.which("go")) is None:
        raise UnavailableError("Go is not installed (package golang-go)")
    if not (GO_PATH / "src" / PGX).is_dir():
        raise UnavailableError("pgx is not installed (package golang-github-jackc-pgx-v4-dev)")
    assert workspace is not None
    built = workspace.path / "pgx-scripts"
    if not built.exists():
        cache = workspace.directory("go")
        told = {"GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(cache), "GOFLAGS": ""}
        source = str(SCRIPTS / "go" / "main.go")
        workspace.run([program, "build", "-o", str(built), source], Place(environment=told), timeout_s=300)
    return [str(built)]


DRIVERS: Final = (
    Driver("psql", "psql (libpq)", _program),
    Driver("pgbench-simple", "pgbench -M simple", _program),
    Driver("pgbench-extended", "pgbench -M extended", _program),
    Driver("pgbench-prepared", "pgbench -M prepared", _program),
    Driver("psycopg", "psycopg 3", _python("psycopg")),
    Driver("psycopg-async", "psycopg 3, async", _python("psycopg")),
    Driver("psycopg-pipeline", "psycopg 3, pipeline mode", _python("psycopg")),
    Driver("psycopg-cursor", "psycopg 3, server-side cursors", _python("psycopg")),
    Driver("psycopg2", "psycopg2", _python("psycopg2")),
    Driver("asyncpg", "asyncpg", _python("asyncpg")),
    Driver("asyncpg-pool", "asyncpg, its pool", _python("asyncpg")),
    Driver("pg8000", "pg8000", _python("pg8000")),
    Driver("sqlalchemy-psycopg", "SQLAlchemy 2 on psycopg", _python("sqlalchemy")),
    Driver("sqlalchemy-asyncpg", "SQLAlchemy 2 on asyncpg", _python("sqlalchemy")),
    Driver("django", "Django 5", _python("django")),
    Driver("node-postgres", "node-postgres", _node("pg")),
    Driver("node-postgres-named", "node-postgres, named statements", _node("pg")),
    Driver("node-postgres-pipeline", "node-postgres, `pipeline: true`", _node("pg")),
    Driver("node-postgres-pool", "node-postgres, its pool", _node("pg")),
    Driver("postgres.js", "postgres.js", _node("postgres")),
    Driver("postgres.js-unprepared", "postgres.js, `prepare: false`", _node("postgres")),
    Driver("drizzle", "Drizzle on node-postgres", _node("drizzle-orm")),
    Driver("pgjdbc", "pgjdbc", _java),
    Driver("pgx", "pgx", _go),
)
BY_NAME: Final = {driver.name: driver for driver in DRIVERS}
"""PyPI's and npm's come with `make environment` and `make node`; java's and Go's are Debian packages."""
