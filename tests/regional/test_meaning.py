"""What was parsed before a change that concerns it is out of date, whatever comes in between."""

from hypothesis import given
from hypothesis import strategies as st

from regional import meaning as module
from regional.meaning import Meaning

NAMES = [b"a", b"b", b"c"]


def test_what_was_parsed_before_a_change_is_out_of_date() -> None:
    meaning = Meaning()
    before = meaning.now
    assert meaning.is_current(b"a", before)
    meaning.changed()
    assert not meaning.is_current(b"a", before)
    assert meaning.is_current(b"a", meaning.now)


def test_a_doubt_concerns_its_statement_only() -> None:
    meaning = Meaning()
    before = meaning.now
    meaning.doubt(b"a")
    assert not meaning.is_current(b"a", before)
    assert meaning.is_current(b"b", before)
    assert meaning.is_current(b"a", meaning.now)


def test_the_number_of_doubts_is_bounded() -> None:
    meaning = Meaning()
    before = meaning.now
    for number in range(module.MAX_DOUBTED + 1):
        meaning.doubt(b"%d" % number)
    assert not meaning.is_current(b"never mentioned", before)
    assert not meaning._doubted


@given(st.lists(st.one_of(st.just(None), st.sampled_from(NAMES), st.tuples(st.sampled_from(NAMES)))))
def test_a_statement_is_current_if_nothing_concerned_it_since(steps: list[bytes | tuple[bytes] | None]) -> None:
    """None: all change; a name: it is doubted; a tuple: it is parsed."""
    meaning, moments, current = Meaning(), dict[bytes, int](), dict[bytes, bool]()
    for step in steps:
        match step:
            case None:
                meaning.changed()
                current = dict.fromkeys(current, False)
            case bytes():
                meaning.doubt(step)
                if step in current:
                    current[step] = False
            case (name,):
                moments[name] = meaning.now
                current[name] = True
        assert {name: meaning.is_current(name, moment) for name, moment in moments.items()} == current
