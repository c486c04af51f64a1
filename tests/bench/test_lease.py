"""What is measured of a lease, and what is shown of it. Nothing here asserts a time."""

import pytest

from bench.lease import HEADS, STEPS, LeaseOptions, Meter, measure, medians, table_of
from bench.lease_stage import Kind, kinds


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_a_clean_lease_sends_the_request_and_nothing_else(kind: Kind) -> None:
    meter = Meter(kind)
    asked = meter._asked()
    meter._whole(asked)
    assert sum(wire.written_bytes for wire in meter._stage.wires) == sum(map(len, asked))


def test_every_kind_has_its_column() -> None:
    assert tuple(kind.name for kind in kinds()) == HEADS[1:]


def test_a_lease_is_what_the_whole_costs_beyond_the_relay() -> None:
    sample = {"relay": 5.0, "whole": 25.0, **dict.fromkeys(STEPS, 2.0)}
    figures = medians([dict(sample), sample | {"whole": 27.0}, sample | {"whole": 99.0}])
    assert (figures["lease"], figures["bookkeeping"]) == (22.0, 14.0)


def test_a_lease_over_the_target_is_named() -> None:
    options = LeaseOptions(queries=64, repeat=1)
    figures = measure(options)
    for key in figures["prepared"]:
        figures["prepared"][key] = 31.0
    figures["simple query"] = dict.fromkeys(figures["prepared"], 1.0)
    figures["one flight"] = dict.fromkeys(figures["prepared"], 1.0)
    table = table_of(figures, options)
    assert table.notes == ["Over 30 µs: prepared"]
    assert len(table.rows) == 8
