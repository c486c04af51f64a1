"""`python -m bench drivers`: how many crossings each driver and ORM needs for the same scripts, by three ways.

Theory of operation: every driver plays its scripts with its own defaults, in a process of its own, and checks what
it reads and writes. Where the long link would be stands a relay that counts crossings by the turns of what passes and
not by time (`turns.py`), so the figures are the same on every machine: straight to PostgreSQL with TLS and SCRAM;
through a PgBouncer at the edge in transaction mode, the relay behind it; through Onetrip, the relay on the link between
its nodes. Both poolers are warm: each script has been played once before. A cell is `connect + work`, and `+ release`
where giving the connection back to the driver's own pool crosses too.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final

import attrs

from bench import machine, pgbouncer
from bench.driver_list import BY_NAME, Driver
from bench.driver_scripts.stage import SCRIPTS, SETUP
from bench.onetrip import NodesOptions, open_nodes
from bench.origin import Origin, open_origin
from bench.pgbouncer import BouncerOptions, open_bouncer
from bench.played import Count, Counter, Failure, Outcome, Take, open_counter, play, url_of
from bench.report import Table, save
from bench.workspace import UnavailableError, Workspace, open_workspace, say

HOST: Final = "127.0.0.1"
STRAIGHT: Final = "straight, TLS"
PGBOUNCER: Final = "PgBouncer at the edge"
ONETRIP: Final = "Onetrip"


@attrs.frozen(kw_only=True)
class DriversOptions:
    """What to play."""

    drivers: tuple[str, ...] = tuple(BY_NAME)
    scripts: tuple[str, ...] = SCRIPTS
    json_file: str | None = None
    trace: bool = False
    """Whether to show what each crossing of Onetrip's link carries."""


@attrs.frozen
class Way:
    """One way to the database, with the counter of its link."""

    name: str
    url: str
    take: Take


Results = dict[tuple[str, str], dict[str, Outcome]]
"""By driver and way: by script."""


def run(options: DriversOptions) -> None:
    """Play, print, and keep."""
    results: Results = {}
    missing: dict[str, str] = {}
    with open_workspace() as workspace, open_origin(workspace, hosts=[HOST], namespace=None, scale=1) as origin:
        about = machine.describe(workspace, origin)
        print(machine.text(about), "", sep="\n", flush=True)
        for statement in SETUP:
            origin.ask(statement)
        with ExitStack() as stack:
            ways = list(_open_ways(workspace, origin, stack, missing))
            ways.append(_open_onetrip(workspace, origin, stack, trace=options.trace))
            for driver in (BY_NAME[name] for name in options.drivers):
                try:
                    results |= _played(driver, driver.argv(workspace), ways, options.scripts)
                except UnavailableError as error:
                    say(f"{driver.title}: not available: {error}")
                    missing[driver.title] = str(error)
    print(tabulate(results, options, missing).text())
    print(summarize(results, options).text())
    save(_figures(results, about, missing), options.json_file)
    if failures := failed(results):
        say(f"failed: {', '.join(failures)}")
        sys.exit(1)


def _open_ways(workspace: Workspace, origin: Origin, stack: ExitStack, missing: dict[str, str]) -> Iterator[Way]:
    """The ways without Onetrip: start what stands on them."""
    secured = origin.endpoint(HOST, sslmode="require")

    def counted(kind: str, port: int) -> Counter:
        return stack.enter_context(open_counter(kind, HOST, port))

    straight = counted("tcp", origin.port)
    yield Way(STRAIGHT, url_of(attrs.evolve(secured, port=straight.port)), straight.take)
    try:
        pgbouncer.version(workspace)
        behind = counted("tcp", origin.port)
        settings = BouncerOptions(name="at-edge", listen=HOST, server=attrs.evolve(secured, port=behind.port))
        bouncer = stack.enter_context(open_bouncer(workspace, origin, settings))
        yield Way(PGBOUNCER, url_of(bouncer.endpoint), behind.take)
    except UnavailableError as error:
        missing[PGBOUNCER] = str(error)


def _open_onetrip(workspace: Workspace, origin: Origin, stack: ExitStack, *, trace: bool) -> Way:
    counters: list[Counter] = []

    def through(pool: str) -> str:
        counters.append(stack.enter_context(open_counter("grpc", HOST, int(pool.rpartition(":")[2]), trace=trace)))
        return f"{HOST}:{counters[0].port}"

    target = origin.endpoint(HOST, sslmode="disable")
    options = NodesOptions(name="drivers", origin=target, link_tls=False, client_tls=False, link_through=through)
    nodes = stack.enter_context(open_nodes(workspace, options))
    return Way(ONETRIP, url_of(nodes.endpoint), counters[0].take)


def _played(driver: Driver, argv: Sequence[str], ways: Sequence[Way], scripts: tuple[str, ...]) -> Results:
    """What a driver does by each way."""
    results = {}
    for way in ways:
        say(f"{driver.title}: {way.name}")
        results[driver.name, way.name] = play(argv, way.url, scripts, way.take)
    return results


def tabulate(results: Results, options: DriversOptions, missing: dict[str, str]) -> Table:
    """A row for each driver and way, a column for each script."""
    title = "Crossings: to connect + to work (+ to give the connection back to the driver's pool)"
    table = Table(title, ("driver", "way", *options.scripts))
    for (name, way), outcomes in results.items():
        shown = [outcomes[script].text() if script in outcomes else "" for script in options.scripts]
        table.add(BY_NAME[name].title, way, *shown)
        for script, outcome in outcomes.items():
            if isinstance(outcome, Failure):
                table.notes.append(f"{BY_NAME[name].title}, {way}, {script}: fails: {outcome.why}")
    for name, reason in missing.items():
        table.add_missing(name, reason)
    return table


def failed(results: Results) -> list[str]:
    """What does not work though nothing stands in its way but PostgreSQL, or Onetrip."""
    return [
        f"{name} {script} ({way})"
        for (name, way), outcomes in results.items()
        for script, outcome in outcomes.items()
        if way != PGBOUNCER and isinstance(outcome, Failure)
    ]


def summarize(results: Results, options: DriversOptions) -> Table:
    """A row for each driver: what a script costs in all, by one way after the other."""
    ways = list(dict.fromkeys(way for _, way in results))
    table = Table(f"Crossings in all, to connect and to work: {' / '.join(ways)}", ("driver", *options.scripts))
    for name in dict.fromkeys(name for name, _ in results):
        outcomes = [results.get((name, way), {}) for way in ways]
        cells = [[_sum(by_script.get(script)) for by_script in outcomes] for script in options.scripts]
        table.add(BY_NAME[name].title, *(" / ".join(cell) if any(cell) else "" for cell in cells))
    return table


def _sum(outcome: Outcome | None) -> str:
    match outcome:
        case Count(connect, work):
            return str(connect + work)
        case Failure():
            return outcome.text()
        case None:
            return ""


def _figures(results: Results, about: dict[str, Any], missing: dict[str, str]) -> dict[str, Any]:
    rows = [
        {"driver": name, "way": way, "script": script, **attrs.asdict(outcome)}
        for (name, way), outcomes in results.items()
        for script, outcome in outcomes.items()
    ]
    return {"benchmark": "drivers", "machine": about, "rows": rows, "not_available": missing}
