"""What an edge knows of statements that it has not seen the origin prepare."""

from edge.control import control_of
from edge.early import MAX_DESCRIPTION_BYTES, NOTHING, Description, Early
from protos.pg.description import digest_of
from protos.pg.messages import no_data, parameter_description, row_description

ROWS = row_description(["id"])
ONE = Description(parameter_description([23]), ROWS)


def test_a_description_has_the_digest_of_its_messages() -> None:
    assert ONE.digest == digest_of(parameter_description([23]), ROWS)
    assert ONE.digest != NOTHING.digest
    assert len(ONE) == len(parameter_description([23])) + len(ROWS)


def test_what_was_learnt_is_known_until_it_is_forgotten() -> None:
    early = Early(prepare=True)
    assert early.description_of(b"x") is None
    early.learn(b"x", ONE)
    assert early.description_of(b"x") == ONE
    early.learn(b"x", NOTHING)
    assert early.description_of(b"x") == NOTHING
    early.learn(b"y", ONE)
    early.forget(b"x")
    assert (early.description_of(b"x"), early.description_of(b"y")) == (None, ONE)
    early.forget_all()
    assert len(early) == 0


def test_a_pool_node_says_better() -> None:
    early = Early(prepare=True)
    early.learn(b"x", NOTHING)
    early.told(b"x", ONE.parameters + ONE.rows)
    assert early.description_of(b"x") == ONE
    early.told(b"x", b"")
    assert early.description_of(b"x") is None


def test_nothing_is_known_where_it_is_not_allowed() -> None:
    early = Early()
    early.learn(b"x", ONE)
    assert early.description_of(b"x") is None
    early.allow(begin=True, prepare=True, remember=False)
    assert early.description_of(b"x") == ONE
    assert early.told_of(b"x", None) == ONE


def test_a_control_statement_is_described_without_knowledge() -> None:
    early = Early()
    assert early.told_of(b"b", control_of(b"begin")) is NOTHING
    shown = early.told_of(b"b", control_of(b"show onetrip.cache"))
    assert shown is not None
    assert shown.rows == row_description(["onetrip.cache"])


def test_the_least_recently_used_make_room() -> None:
    early = Early(prepare=True)
    large = Description(parameter_description([]), row_description(["x" * 100_000]))
    for number in range(100):
        early.learn(b"%d" % number, large)
        assert early.description_of(b"0") is not None, "it is used all the time"
    assert early.description_of(b"1") is None
    assert early.description_of(b"99") is not None
    assert 70 < len(early) <= MAX_DESCRIPTION_BYTES / len(large)


def test_messages_are_those_of_a_describe() -> None:
    assert (NOTHING.parameters, NOTHING.rows) == (parameter_description([]), no_data())
