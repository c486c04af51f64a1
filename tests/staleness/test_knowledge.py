"""What breaks the bound and what does not."""

from tests.staleness.knowledge import LEASE_S, Answer, Knowledge

CROSSING_S = 0.08
NOW = 1000.0


def read(edge: int, *versions: int, begun: float) -> Answer:
    return Answer(edge=edge, subject=7, versions=set(versions), begun=begun, now=begun + 0.01, what="a read")


def knowing() -> Knowledge:
    """Version 2 was written at edge 0, version 3 at edge 1 a second later."""
    knowledge = Knowledge([CROSSING_S] * 3, slack_s=0.0)
    knowledge.wrote(0, 7, 2, NOW)
    knowledge.wrote(1, 7, 3, NOW + 1.0)
    return knowledge


def test_at_another_edge_an_older_answer_is_good_for_a_crossing() -> None:
    knowledge = knowing()
    knowledge.read(read(0, 2, begun=NOW + 1.0 + CROSSING_S * 0.9))
    assert not knowledge.violations
    knowledge.read(read(0, 2, begun=NOW + 1.0 + CROSSING_S * 1.1))
    assert len(knowledge.violations) == 1
    assert "stale" in knowledge.violations[0]
    assert round(knowledge.oldest_s["other edge"], 3) == 0.088


def test_at_the_writers_own_edge_no_older_answer_is_good() -> None:
    knowledge = knowing()
    knowledge.read(read(1, 2, begun=NOW + 1.0 - 0.001))
    assert not knowledge.violations
    knowledge.read(read(1, 2, begun=NOW + 1.0 + 0.001))
    assert "own edge" in knowledge.violations[0]


def test_two_versions_in_one_answer_are_mixed() -> None:
    knowledge = knowing()
    knowledge.read(read(2, 2, 3, begun=NOW + 1.0))
    assert "mixed" in knowledge.violations[0]


def test_while_something_fails_and_a_while_after_the_lease_is_the_bound() -> None:
    knowledge = knowing()
    knowledge.begin_fault(NOW + 0.5)[1] = NOW + 0.9
    knowledge.read(read(0, 2, begun=NOW + 1.0 + LEASE_S))
    assert not knowledge.violations
    knowledge.read(read(0, 2, begun=NOW + 1.0 + LEASE_S + CROSSING_S * 1.1))
    assert "under faults" in knowledge.violations[0]


def test_what_somebody_has_read_is_known_though_nobody_heard_of_its_write() -> None:
    knowledge = knowing()
    knowledge.read(read(0, 4, begun=NOW + 2.0))
    knowledge.read(read(0, 3, begun=NOW + 2.01))
    assert not knowledge.violations
    knowledge.read(read(2, 3, begun=NOW + 2.01 + CROSSING_S * 1.1))
    assert len(knowledge.violations) == 1


def test_an_answer_to_what_was_asked_before_the_write_is_good_however_late_it_comes() -> None:
    knowledge = knowing()
    knowledge.read(read(0, 1, begun=NOW - 0.001))
    assert not knowledge.violations
