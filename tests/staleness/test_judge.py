"""Hypothesis finds the smallest script that fails, on ground that fails only now and then."""

import re
from itertools import cycle

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.staleness.judge import Judge
from tests.staleness.moves import Change, Ending, Rest, Script, scripts


def moves_of(script: Script) -> list[object]:
    return [move for track in script.tracks for move in track if not isinstance(move, Rest)]


def test_a_script_that_failed_fails_again_and_is_made_small() -> None:
    luck = cycle([False, True])
    played: list[Script] = []

    def play(script: Script) -> list[str]:
        played.append(script)
        has = any(isinstance(move, Change) and move.ending is not Ending.COMMIT for move in moves_of(script))
        return ["seen"] if has and next(luck) else []

    judge = Judge(play)

    @settings(
        max_examples=50, derandomize=True, database=None, deadline=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(script=scripts(tracks=1))
    def run(script: Script) -> None:
        verdict = judge.verdict(script)
        assert not verdict, verdict

    with pytest.raises(AssertionError, match="seen") as failed:
        run()
    (line,) = re.findall(r"client \d: .*", str(failed.value).partition("\nassert")[0])
    assert line.count("Change") == 1
    assert "Look" not in line
    smallest = [script for script in played if len(moves_of(script)) == 1]
    assert smallest


def test_the_search_for_a_smaller_one_ends() -> None:
    played: list[Script] = []

    def play(script: Script) -> list[str]:
        played.append(script)
        return ["seen"]

    judge = Judge(play, shrinking_s=0.0)
    first, second = (Script((), (), ()), Script((), ((),), ()))
    assert "seen" in judge.verdict(first)
    assert not judge.verdict(second)
    assert "seen" in judge.verdict(first)
    assert played == [first]
