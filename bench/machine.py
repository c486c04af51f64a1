"""What the figures were measured on and with: the head of each report."""

import datetime
import os
import platform
import ssl
from pathlib import Path
from typing import Any

import psycopg

from bench import pgbouncer
from bench.origin import Origin
from bench.workspace import UnavailableError, Workspace, open_workspace


def describe(workspace: Workspace, origin: Origin | None) -> dict[str, Any]:
    """Machine, programs and date."""
    try:
        bouncer = pgbouncer.version(workspace)
    except UnavailableError as error:
        bouncer = f"not available: {error}"
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30), 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl_of_python": ssl.OPENSSL_VERSION,
        "postgresql": origin.version() if origin is not None else None,
        "libpq": libpq_version(),
        "pgbouncer": bouncer,
        "load_average_at_start": round(os.getloadavg()[0], 2),
    }


def libpq_version() -> str:
    """The libpq that the measuring client uses (psycopg's own, when its wheel carries one)."""
    number = psycopg.pq.version()
    return f"{number // 10000}.{number % 10000} ({psycopg.pq.__impl__})"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def text(machine: dict[str, Any]) -> str:
    """The head of a report, for reading."""
    return "\n".join(
        [
            f"date        {machine['date']}",
            f"machine     {machine['cores']} cores, {machine['cpu']}, {machine['memory_gib']} GiB, "
            f"Linux {machine['kernel']}, load {machine['load_average_at_start']} at the start",
            f"programs    PostgreSQL {machine['postgresql']}, libpq {machine['libpq']}, "
            f"PgBouncer {machine['pgbouncer']}, Python {machine['python']} ({machine['openssl_of_python']})",
        ]
    )


def tell_alone() -> dict[str, Any]:
    """Print and return the head of a report on this process alone."""
    with open_workspace() as workspace:
        about = describe(workspace, None)
    print(f"date        {about['date']}")
    print(f"machine     {about['cores']} cores, {about['cpu']}, load {about['load_average_at_start']} at the start")
    print(f"programs    Python {about['python']}", "", sep="\n", flush=True)
    return about
