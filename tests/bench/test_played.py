"""A script's marks, the counter between them, and what is made of a script that fails or says nothing."""

import sys

import pytest

from bench import played
from bench.endpoint import Endpoint
from bench.played import DELAY_S, Count, Failure, play, url_of
from bench.workspace import UnavailableError

# A script for a process: it says each line of its first argument and waits after those that are marks.
SCRIPT = """
import sys
for line in sys.argv[1].split("|"):
    print(line, flush=True)
    if line.split()[0] in ("cold", "ten"):
        assert sys.stdin.readline() == "\\n"
"""
GOOD = "cold begin|cold connected|some report|cold done|cold released"


class Counts:
    """A counter that has a new number each time, and remembers what delays it was told."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)
        self.delays: list[float] = []

    def take(self, delay_s: float) -> int:
        self.delays.append(delay_s)
        return self.numbers.pop(0)


def played_by(text: str, counts: Counts, code: str = SCRIPT) -> dict[str, played.Outcome]:
    return play([sys.executable, "-c", code, text], "postgres://u:p@h:1/d", [], counts.take)


def test_each_step_has_its_own_crossings() -> None:
    assert played_by(GOOD, Counts(99, 7, 2, 1)) == {"cold": Count(7, 2, 1)}


def test_the_second_time_is_counted_and_only_then_is_anything_held_back() -> None:
    counts = Counts(99, 9, 9, 9, 99, 7, 2, 0)
    assert played_by(f"{GOOD}|{GOOD}", counts) == {"cold": Count(7, 2, 0)}
    assert counts.delays[0] == 0
    assert counts.delays[4:7] == [DELAY_S] * 3


def test_a_script_that_fails_says_why_and_the_others_go_on() -> None:
    text = f"ten begin|ten fails: Error: no such statement|{GOOD}"
    assert played_by(text, Counts(9, 9, 9, 7, 2, 0)) == {
        "ten": Failure("Error: no such statement"),
        "cold": Count(7, 2, 0),
    }


def test_a_process_that_ends_badly_is_told_with_its_last_words() -> None:
    with pytest.raises(UnavailableError, match=r"status 1: .*it broke"):
        played_by("", Counts(), "raise SystemExit('it broke')")


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(played, "PLAY_TIMEOUT_S", 0.5)
    with pytest.raises(UnavailableError, match="status -9"):
        played_by("", Counts(), "import time; time.sleep(30)")


def test_a_cell_leaves_out_a_release_that_costs_nothing() -> None:
    assert Count(7, 4, 0).text() == "7 + 4"
    assert Count(0, 3, 1).text() == "0 + 3 + 1"


def test_the_scripts_are_given_a_connection_string() -> None:
    endpoint = Endpoint(host="127.0.0.1", port=6432, user="u", password="p", database="d", sslmode="require")
    assert url_of(endpoint) == "postgres://u:p@127.0.0.1:6432/d?sslmode=require"
