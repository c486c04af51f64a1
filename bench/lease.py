"""`python -m bench lease`: what lending an origin connection to one query costs the pool node's processor.

Theory of operation: the real objects of a pool node (tenant, pool, channel, origin, mux) are driven in this process by
hand, between a link that is never written and a connection that swallows what it is sent, so that nothing but our own
code runs. A query is delivered as the link would, its answer as PostgreSQL would; the lease begins with the one and
ends with the other. The *relay* is the same bytes in both directions through the same framers, the same mux and the
same credit, but straight from one to the other: what a pooler of whole sessions would have to do. What a query costs
beyond the relay is the price of the lease. Single steps are measured alone; "bookkeeping" is what is left of the whole:
which replies are owed, which statements are there, whose turn it is. All times are CPU time of this process.
"""

import gc
import statistics
import time
from typing import Final, cast

import attrs

from bench import machine
from bench.lease_stage import CONNECTIONS, Kind, Stage, Taker, kinds
from bench.report import Table, save
from bench.workspace import say
from protos.pg import messages
from protos.pg.framer import BACKEND_LIMITS, FRONTEND_LIMITS, Framer
from protos.pg.tags import Backend, TransactionStatus
from regional.origin import Origin
from regional.prepared import may_set_locally

HEADS: Final = ("step", "simple query", "one flight", "prepared")
TARGET_US: Final = 30.0
# A round: so many queries of one session, after which the link's queue is thrown away.
ROUND: Final = 64
STEPS: Final = ("judge", "checkout", "settings", "return")


@attrs.frozen(kw_only=True)
class LeaseOptions:
    """How much to measure."""

    queries: int = 4096
    repeat: int = 15
    json_file: str | None = None


class Meter:
    """CPU time of one kind of query, each part for as many queries as asked."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._stage = Stage()
        self._number = 0
        self._warm_up()

    def measure(self, queries: int) -> dict[str, float]:
        """Microseconds a query: the relay, the whole, and the steps."""
        spent = dict.fromkeys(("relay", "whole", *STEPS), 0)
        rounds = -(-queries // ROUND)
        for _ in range(rounds):
            spent["relay"] += self._relay(self._asked())
            spent["whole"] += self._whole(self._asked())
            for step, ns in zip(STEPS, self._steps(), strict=True):
                spent[step] += ns
        return {name: ns / 1000 / (rounds * ROUND) for name, ns in spent.items()}

    def _asked(self) -> list[bytes]:
        """The requests of one round, none of them seen before."""
        self._number += ROUND
        return [self.kind.asked(number) for number in range(self._number, self._number + ROUND)]

    def _warm_up(self) -> None:
        """The statement is on the connection that is lent, and its verdict is known."""
        if self.kind.text:
            channel = self._stage.session()
            channel.lane.window.received(len(self.kind.asked(0)))
            channel.refer(self.kind.text)
            channel.deliver(self.kind.asked(0))
            self._stage.origins[-1].received(messages.parse_complete() + self.kind.answer)
        self._whole(self._asked())
        for wire in self._stage.wires:
            wire.written_bytes = 0

    def _relay(self, asked: list[bytes]) -> int:
        """The same bytes, but nobody is asked whose turn it is."""
        stage, answer = self._stage, self.kind.answer
        lane, mux, wire = stage.session().lane, stage.mux, stage.wires[0]
        inward, outward = (
            Framer(FRONTEND_LIMITS, frozenset()),
            Framer(BACKEND_LIMITS, frozenset({Backend.READY_FOR_QUERY})),
        )
        begun = time.process_time_ns()
        for data in asked:
            lane.window.received(len(data))
            wire.write(b"".join([piece.data for piece in inward.feed(data)]))
            mux.consumed(lane, len(data), time.monotonic())
            reply = b"".join([piece.data for piece in outward.feed(answer)])
            mux.send(lane, reply, 1, TransactionStatus.IDLE, last=True)
        return time.process_time_ns() - begun

    def _whole(self, asked: list[bytes]) -> int:
        """The query finds its connection, and the connection its way back."""
        stage, text, answer = self._stage, self.kind.text, self.kind.answer
        channel, origin = stage.session(), stage.tenant.pool.idle[-1]
        before = stage.tenant.pool.total_leases
        begun = time.process_time_ns()
        for data in asked:
            channel.lane.window.received(len(data))
            if text:
                channel.refer(text)
            channel.deliver(data)
            origin.received(answer)
        spent = time.process_time_ns() - begun
        assert stage.tenant.pool.total_leases - before == ROUND
        assert not origin.residue, "the statement is not proven clean"
        assert len(stage.tenant.pool.idle) == CONNECTIONS
        return spent

    def _steps(self) -> tuple[int, ...]:
        """Judge, checkout, settings, return: each alone, for one round."""
        tenant, texts = self._stage.tenant, [self.kind.judged(self._number - i) for i in range(ROUND)]
        channel, judge = self._stage.session(), tenant.judge
        begun = time.process_time_ns()
        for text in texts:
            judge(text, is_utf8=True)
            may_set_locally(text)
        judging = time.process_time_ns() - begun
        checkouts = settings = returns = 0
        for start in range(0, ROUND, CONNECTIONS):
            takers = [Taker() for _ in range(min(CONNECTIONS, ROUND - start))]
            begun = time.process_time_ns()
            for taker in takers:
                tenant.checkout(taker)
            checkouts += time.process_time_ns() - begun
            taken = [cast("Origin", taker.origin) for taker in takers]
            begun = time.process_time_ns()
            for origin in taken:
                origin.lend(channel)
                assert origin.profile is channel.profile
            settings += time.process_time_ns() - begun
            for origin in taken:
                origin.channel = None
            begun = time.process_time_ns()
            for origin in reversed(taken):
                tenant.lease_ended(origin)
            returns += time.process_time_ns() - begun
        return judging, checkouts, settings, returns


def medians(samples: list[dict[str, float]]) -> dict[str, float]:
    """Of each part; the lease is the whole without the relay, bookkeeping what no step accounts for."""
    for sample in samples:
        sample["lease"] = sample["whole"] - sample["relay"]
        sample["bookkeeping"] = sample["lease"] - sum(sample[step] for step in STEPS)
    return {name: statistics.median(sample[name] for sample in samples) for name in samples[0]}


def table_of(figures: dict[str, dict[str, float]], options: LeaseOptions) -> Table:
    """A row for each part, a column for each kind of query."""
    rounds = f"medians of {options.repeat} times {options.queries} queries"
    table = Table(f"CPU of the pool node in µs a query, on one core; {rounds}", HEADS)
    rows = {
        "relay alone": "relay",
        "judge the statement": "judge",
        "check out": "checkout",
        "compare settings": "settings",
        "bookkeeping of messages and replies": "bookkeeping",
        "return": "return",
        "lease: what it costs beyond the relay": "lease",
        "relay with lease": "whole",
    }
    for title, key in rows.items():
        table.add(title, *(f"{figures[head][key]:.1f}" for head in HEADS[1:]))
    over = [head for head in HEADS[1:] if figures[head]["lease"] > TARGET_US]
    table.notes.append(
        f"Over {TARGET_US:.0f} µs: {', '.join(over)}" if over else f"All leases cost under {TARGET_US:.0f} µs."
    )
    return table


def measure(options: LeaseOptions) -> dict[str, dict[str, float]]:
    """All kinds, taking turns so that a change of the machine's pace meets them alike."""
    meters = [Meter(kind) for kind in kinds()]
    samples: dict[str, list[dict[str, float]]] = {meter.kind.name: [] for meter in meters}
    gc.freeze()
    for number in range(options.repeat):
        say(f"repetition {number + 1} of {options.repeat}")
        for meter in meters:
            samples[meter.kind.name].append(meter.measure(options.queries))
    return {name: medians(found) for name, found in samples.items()}


def run(options: LeaseOptions) -> None:
    """Measure and print."""
    about = machine.tell_alone()
    figures = measure(options)
    print(table_of(figures, options).text())
    save({"benchmark": "lease", "machine": about, "target_us": TARGET_US, "kinds": figures}, options.json_file)
