"""`onetrip status`: links, pools, waiters, cache of one pool node, for a person or as JSON."""

from typing import Any, Final

import click

from deploy.client_options import client, client_options, print_json, table, wants_json

HELP: Final = """Show a pool node's links, pools, waiters and cache.

The columns of POOLS are PgBouncer's: cl_active clients hold an origin connection and cl_waiting wait for one, maxwait
is how long the first of them has waited, sv_active, sv_idle and sv_login are origin connections. bound is how many may
be in use at once now, and bound_by why: limit (origin_connection_limit), soft (a little more, for a while), demand (no
more were needed), slow (more do no good), trial (whether fewer do as well), full (the origin has no room), share (of
origin_total_limit).

CACHE counts queries since the edges began. hits and stale (older than max_age, while they were renewed) were answered
at an edge, misses were not and are kept from then on; hit_rate is the part of these that was answered. The answers of
uncacheable ones are not kept, for the reasons under NOT CACHED. Others were not looked up: in a transaction, disabled
by the configuration, bypassed by the session or the query.

--json prints the object that docs/admin-api.md describes.

\b
Examples:
  onetrip status
  onetrip status --admin https://pool.example.net:6433 --token-file token --json
"""

# A link's and a pool's columns; what the node does not tell is left out of the table.
LINKS: Final = ("edge", "address", "advertise", "up_s", "round_trip_s", "channels", "received_bytes", "sent_bytes")
POOLS: Final = (
    "configuration",
    "cl_active",
    "cl_waiting",
    "maxwait",
    "sv_active",
    "sv_idle",
    "sv_login",
    "size",
    "limit",
    "bound",
    "bound_by",
    "total_leases",
    "total_errors",
)
CACHES: Final = (
    "configuration",
    "entries",
    "bytes",
    "hits",
    "stale",
    "misses",
    "hit_rate",
    "uncacheable",
    "disabled",
    "transaction",
    "bypassed",
    "renewals",
    "late_hits",
)


@click.command(help=HELP, short_help="Show links, pools, waiters and cache.")
@client_options
def status() -> None:
    answer = client().request("GET", "/status")
    if wants_json():
        print_json(answer)
        return
    click.echo(describe(answer))


def describe(status: dict[str, Any]) -> str:
    """The whole status as text."""
    state = "ready" if status["ready"] else "not ready"
    parts = [f"pool node {status['node']}: {state}, up {_duration(status['up_s'])}"]
    for title, key, columns in (("LINKS", "links", LINKS), ("POOLS", "pools", POOLS), ("CACHE", "caches", CACHES)):
        rows = status.get(key)
        if rows is None:
            continue
        parts.append(f"{title}\n{_table(rows, columns)}" if rows else f"{title}\nnone")
    if reasons := _reasons(status.get("caches") or []):
        parts.append(f"NOT CACHED\n{reasons}")
    if unfollowed := status.get("not_followed"):
        parts.append(f"WRITES NOT FOLLOWED\n{table([('configuration', 'why'), *unfollowed.items()])}")
    return "\n\n".join(parts)


def _reasons(caches: list[dict[str, Any]]) -> str:
    """Why answers are not kept, a line for each reason of each configuration."""
    rows = [
        (cache["configuration"], reason, str(count))
        for cache in caches
        for reason, count in (cache.get("reasons") or {}).items()
    ]
    return table([("configuration", "reason", "queries"), *rows]) if rows else ""


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """The known columns in their order, then whatever a newer node tells besides."""
    known = [column for column in columns if column in rows[0]]
    names = known + [name for name, value in rows[0].items() if name not in columns and not isinstance(value, dict)]
    heading = [name.removesuffix("_s").removesuffix("_bytes") for name in names]
    return table([heading, *([_cell(name, row.get(name)) for name in names] for row in rows)])


def _cell(name: str, value: object) -> str:
    if value is None or value == "":
        return "-"
    return _figure(name, value) if isinstance(value, int | float) else str(value)


def _figure(name: str, value: float) -> str:
    if name.endswith("_bytes") or name == "bytes":
        return _bytes(value)
    if name == "round_trip_s":
        return f"{value * 1000:.1f} ms"
    if name == "hit_rate":
        return f"{value * 100:.2f} %"
    if name.endswith("_s"):
        return _duration(value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    if minutes:
        return f"{minutes}m{whole % 60:02}s"
    return f"{whole}s"


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
