"""`python -m bench`: the benchmarks, each a command. Tables go to standard output, progress to standard error."""

import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from bench import (
    cache,
    cachehit,
    cacheload,
    classifier,
    differential,
    drivers,
    idle,
    leak,
    lease,
    local,
    size,
    staleness,
    statements,
    storm,
    stream,
    throughput,
    wan,
)
from bench.driver_list import BY_NAME
from bench.driver_scripts.stage import SCRIPTS
from bench.longlink import LinkShape, refuse_without_means
from bench.workspace import UnavailableError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Measure Onetrip beside PostgreSQL and PgBouncer, in the same run and on this machine.

    Only programs that the benchmark starts itself are loaded, on loopback or in network namespaces of its own, and
    nothing stays behind. Run it on an idle machine.
    """


json_option = click.option(
    "--json", "json_file", type=click.Path(dir_okay=False), help="Keep the figures in this file."
)


def link_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what link to lay."""
    for option in (
        click.option("--congestion", help="TCP's congestion control on the link  [default: the machine's]"),
        click.option("--mtu", type=click.IntRange(576, 65535), default=1500, help="MTU of the link."),
        click.option(
            "--queue", type=click.FloatRange(0.01, 20), default=1.0, help="Depth of the bottleneck, in round trips."
        ),
        click.option("--mbit", type=click.FloatRange(1, 10_000), default=100.0, help="Bandwidth in Mbit/s."),
        click.option("--rtt", type=click.FloatRange(0.1, 2_000), default=80.0, help="Round trip in ms."),
    ):
        command = option(command)
    return command


def _given() -> dict[str, Any]:
    """The options of the command that runs, by name."""
    return dict(click.get_current_context().params)


def _shape(options: dict[str, Any]) -> LinkShape:
    return LinkShape(
        round_trip_ms=options.pop("rtt"),
        bandwidth_mbit_s=options.pop("mbit"),
        queue_round_trips=options.pop("queue"),
        mtu=options.pop("mtu"),
        congestion=options.pop("congestion"),
    )


@main.command("wan")
@link_options
@click.option("--repeat", type=click.IntRange(1, 1000), default=wan.MIN_REPEAT, help="Samples of each way.")
@click.option("--clients", type=click.IntRange(1, 2000), default=256, help="Clients of the load.")
@click.option("--connections", type=click.IntRange(5, 500), default=20, help="Origin connections under load.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=10.0, help="Seconds of load for each way.")
@click.option("--warm-chain", is_flag=True, help="Also wait (minutes) until a chain of two PgBouncers is warm.")
@json_option
def wan_command(**_: object) -> None:
    """Connect, first and second query over a long link by each way in; then many clients on few connections."""
    _refuse()
    options = _given()
    shape = _shape(options)
    load = throughput.Plan(**{name: options.pop(name) for name in ("clients", "connections", "seconds", "warm_chain")})
    wan.run(wan.WanOptions(shape=shape, load=load, **options))


@main.command("local")
@click.option("--clients", default="1,16,64,200", help="Numbers of clients, by comma.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=5.0, help="Seconds of each measurement.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, help="Alternating rounds; medians are shown.")
@click.option("--connections", type=click.IntRange(5, 500), default=20, help="Origin connections of each pooler.")
@click.option("--protocol", type=click.Choice(["simple", "extended"]), default="simple", help="pgbench's -M.")
@json_option
def local_command(clients: str, **_: object) -> None:
    """Throughput on loopback: PostgreSQL, PgBouncer and Onetrip in turn."""
    local.run(local.LocalOptions(**{**_given(), "clients": _counts(clients)}))


def _counts(clients: str) -> tuple[int, ...]:
    """Numbers of clients, by comma."""
    try:
        counts = tuple(int(part) for part in clients.split(","))
    except ValueError as error:
        raise click.BadParameter(clients, param_hint="--clients") from error
    if not all(1 <= count <= 500 for count in counts):
        raise click.BadParameter(f"{clients}: from 1 to 500 each", param_hint="--clients")
    return counts


@main.command("cache")
@link_options
@click.option("--keys", type=click.IntRange(100, 100_000), default=1000, help="Rows that are read, all warmed.")
@click.option("--clients", default="1,16,64", help="Numbers of clients of the load, by comma.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=5.0, help="Seconds of each measurement.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, help="Alternating rounds; medians are shown.")
@click.option("--connections", type=click.IntRange(5, 500), default=20, help="Origin connections of each pooler.")
@click.option("--writes", type=click.IntRange(1, 10_000_000), default=10_000, help="Acknowledged writes at one edge.")
@click.option("--pairs", type=click.IntRange(1, 500), default=32, help="Writers at once.")
@click.option("--local/--no-local", default=True, help="What is measured on loopback.")
@click.option("--link/--no-link", default=True, help="What is measured over the long link (as root).")
@json_option
def cache_command(clients: str, **_: object) -> None:
    """Cached reads: PgBouncer, Pgpool-II and Onetrip on loopback; over a long link, and how old they can be."""
    options = _given()
    shape = _shape(options)
    words = {name: options.pop(name) for name in ("keys", "seconds", "rounds", "connections")}
    load = cacheload.Plan(**{**words, "clients": _counts(clients)})
    del options["clients"]
    hit = cachehit.Plan(keys=load.keys)
    cache.run(cache.CacheOptions(shape=shape, load=load, hit=hit, **options))


@main.command("stream")
@link_options
@click.option("--mib", type=click.IntRange(1, 65536), default=1024, help="Size of the large result.")
@click.option("--direct/--no-direct", default=True, help="Also straight to PostgreSQL, for comparison.")
@json_option
def stream_command(**_: object) -> None:
    """A large result over a long link, and the small queries of a second client beside it."""
    _refuse()
    options = _given()
    stream.run(stream.StreamOptions(shape=_shape(options), **options))


@main.command("size")
@click.option("--clients", type=click.IntRange(1, 400), default=64, help="Clients of the load, and lockers.")
@click.option("--sizes", default="5,10,20,40", help="Fixed sizes to compare with, by comma.")
@click.option("--limit", type=click.IntRange(5, 500), default=60, help="Limit of the pool that finds its size.")
@click.option("--rows", type=click.IntRange(1, 10_000_000), default=20_000, help="Rows that each query sums up.")
@click.option("--readers", type=click.IntRange(1, 100), default=8, help="Readers beside the lockers.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=5.0, help="Seconds of each measurement.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, help="Alternating rounds; medians are shown.")
@click.option("--settle", type=click.FloatRange(1, 600), default=60.0, help="Seconds for a pool to find its size.")
@json_option
def size_command(sizes: str, **_: object) -> None:
    """Whether the pool finds its size: load on the CPU against fixed sizes, and readers beside one locked row."""
    try:
        chosen = tuple(int(part) for part in sizes.split(","))
    except ValueError as error:
        raise click.BadParameter(sizes, param_hint="--sizes") from error
    if not all(5 <= number <= 500 for number in chosen):
        raise click.BadParameter(f"{sizes}: from 5 to 500 each", param_hint="--sizes")
    size.run(size.SizeOptions(**{**_given(), "sizes": chosen}))


@main.command("idle")
@click.option("--clients", type=click.IntRange(1, 100_000), default=5000, help="Idle clients.")
@json_option
def idle_command(**_: object) -> None:
    """Memory of the edge node for each idle client, plain and with TLS."""
    idle.run(idle.IdleOptions(**_given()))


@main.command("leak")
@click.option("--sessions", type=click.IntRange(3, 128), default=64, help="Sessions at once, in three modes.")
@click.option("--actions", type=click.IntRange(1, 10_000_000), default=20_000, help="What they do in all.")
@click.option("--transfers", type=click.IntRange(1, 1_000_000), default=10_000, help="Transfers of the ledger.")
@click.option("--restarts", type=click.IntRange(0, 100), default=3, help="Restarts of the origin meanwhile.")
@click.option("--seed", type=int, default=1, help="Repeats a run, as far as concurrency allows.")
@json_option
def leak_command(**_: object) -> None:
    """No session sees another's state, and a ledger keeps its total; clients are killed. Status 1 if not so."""
    leak.run(leak.LeakOptions(**_given()))


@main.command("staleness")
@click.option("--actions", type=click.IntRange(1, 100_000_000), default=50_000, help="What clients do in all.")
@click.option("--edges", type=click.IntRange(1, 20), default=3, help="Edge nodes.")
@click.option("--pools", type=click.IntRange(1, 10), default=2, help="Pool nodes; they share a store.")
@click.option("--players", type=click.IntRange(1, 100), default=4, help="Clients at once at each edge.")
@click.option("--delay", "delay_ms", type=click.FloatRange(0, 1000), default=20.0, help="Of a link, in ms, one way.")
@click.option("--faults/--no-faults", default=True, help="Links are cut or fall silent, nodes are killed.")
@click.option("--seed", type=int, default=1, help="Repeats a run, as far as concurrency allows.")
@json_option
def staleness_command(**_: object) -> None:
    """No cached answer is older than is said, and none mixes two versions; nodes and links fail. Status 1 if not so."""
    staleness.run(staleness.StalenessOptions(**_given()))


@main.command("storm")
@link_options
@click.option("--clients", type=click.IntRange(1, 2000), default=256, help="Connected clients that ask at once.")
@click.option("--rush", type=click.IntRange(1, 2000), default=1000, help="Clients that connect and ask at once.")
@click.option("--connections", type=click.IntRange(5, 500), default=20, help="Origin connections of each pooler.")
@click.option("--repeat", type=click.IntRange(1, 100), default=3, help="Storms of each way.")
@json_option
def storm_command(**_: object) -> None:
    """Many clients ask at once over a long link, and no connection to the database is open yet."""
    _refuse()
    options = _given()
    storm.run(storm.StormOptions(shape=_shape(options), **options))


@main.command("lease")
@click.option("--queries", type=click.IntRange(64, 1_000_000), default=4096, help="Queries of each repetition.")
@click.option("--repeat", type=click.IntRange(1, 1000), default=15, help="Repetitions; medians are shown.")
@json_option
def lease_command(**_: object) -> None:
    """CPU of the pool node for lending a connection to one query and taking it back, step by step."""
    lease.run(lease.LeaseOptions(**_given()))


@main.command("classifier")
@click.option("--statements", type=click.IntRange(5, 1_000_000), default=2000, help="Statements of each size.")
@json_option
def classifier_command(**_: object) -> None:
    """CPU of finding out what a statement reads and writes, when it is not remembered."""
    classifier.run(classifier.ClassifierOptions(**_given()))


@main.command("differential")
@click.option("--conversations", type=click.IntRange(1, 10_000_000), default=20_000, help="How many to play.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the first batch; each has the next.")
@click.option("--mode", default="track", help="A configuration of tests/differential/modes.py.")
@click.option("--hostile", is_flag=True, help="Clients that break the protocol: malformed messages among good ones.")
@json_option
def differential_command(**_: object) -> None:
    """Random conversations, played to Onetrip and straight to PostgreSQL: is every answer the same?"""
    differential.run(differential.DifferentialOptions(**_given()))


@main.command("statements")
@click.option("--statements", type=click.IntRange(100, 100_000_000), default=1_000_000, help="Distinct ones, in all.")
@click.option("--sessions", type=click.IntRange(1, 500), default=20, help="Sessions at once.")
@click.option("--each", type=click.IntRange(100, 20_000), default=2_000, help="Statements of one session.")
@click.option("--connections", type=click.IntRange(5, 500), default=5, help="Origin connections of the pool.")
@json_option
def statements_command(**_: object) -> None:
    """Memory of both nodes and of PostgreSQL while a great many distinct statements are prepared."""
    statements.run(statements.StatementsOptions(**_given()))


@main.command("drivers")
@click.option("--driver", "drivers", type=click.Choice(list(BY_NAME)), multiple=True, help="This one; repeatable.")
@click.option("--script", "scripts", type=click.Choice(SCRIPTS), multiple=True, help="This one; repeatable.")
@click.option("--trace", is_flag=True, help="Show on standard error what each crossing of Onetrip's link carries.")
@json_option
def drivers_command(**_: object) -> None:
    """Crossings of each driver and ORM for the same scripts: counted, not timed. Status 1 if a result is wrong."""
    # None is named: all of them.
    drivers.run(drivers.DriversOptions(**{name: value for name, value in _given().items() if value != ()}))


def _refuse() -> None:
    """Skip, and say why, where no long link can be laid."""
    try:
        refuse_without_means()
    except UnavailableError as error:
        click.echo(f"skipped: {error}")
        sys.exit(0)


def run() -> None:
    """Run a command; what is missing altogether is one line and status 1. A signal ends it in order."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        main(prog_name="python -m bench")
    except UnavailableError as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    run()
