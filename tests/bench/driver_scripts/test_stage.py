"""The marks of a script in their order, and that a wrong result is never passed over."""

from collections.abc import Callable, Sequence

import pytest

from bench.driver_scripts import stage
from bench.driver_scripts.stage import SCRIPTS, numbered, play, play_driver


class Memory:
    """A driver whose database is a dictionary, and which may forget what is written."""

    scripts: tuple[str, ...] = SCRIPTS

    def __init__(self, *, forgets: bool = False) -> None:
        self.done: list[str] = []
        self._seen: dict[int, int] = {}
        self._forgets = forgets

    def connect(self) -> None:
        self.done.append("connect")

    def word(self, number: int) -> str:
        return f"word {number}"

    def seen(self, first: int, last: int) -> int:
        return min(self._seen.get(number, 0) for number in range(first, last + 1))

    def transaction(self, number: int, value: int) -> str:
        self.batch([number], value)
        return self.word(number)

    def batch(self, numbers: Sequence[int], value: int) -> None:
        if not self._forgets:
            self._seen.update(dict.fromkeys(numbers, value))

    def orm(self, number: int, value: int) -> str:
        return self.transaction(number, value)

    def release(self) -> None:
        self.done.append("release")

    def close(self) -> None:
        self.done.append("close")


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(stage, "mark", lambda script, step: said.append(f"{script} {step}"))
    return said


def played(driver: Memory, *scripts: str) -> bool:
    play_one: Callable[[str], None] = lambda script: play_driver(driver, script)  # noqa: E731 - it names what play is given
    return play(scripts, play_one)


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_marks_its_steps(script: str, marks: list[str]) -> None:
    driver = Memory()
    assert played(driver, script)
    assert marks == [f"{script} {step}" for step in ("begin", "connected", "done", "released")]
    assert driver.done[-1] == "close"


@pytest.mark.parametrize("script", ["transaction", "batch", "orm"])
def test_what_was_not_written_fails(script: str, marks: list[str]) -> None:
    driver = Memory(forgets=True)
    assert not played(driver, script, "cold")
    assert f"{script} fails: AssertionError: 0 instead of " in next(mark for mark in marks if "fails" in mark)
    assert marks[-1] == "cold released", "the others go on"


@pytest.mark.parametrize("script", ["cold", "again", "ten", "transaction", "orm"])
def test_what_is_read_wrong_fails(script: str, marks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memory, "word", lambda *_: "nonsense")
    driver = Memory()
    assert not played(driver, script)
    assert "'nonsense' instead of 'word" in marks[-1]
    assert driver.done[-1] == "close"


def test_numbered_parameters_become_percent_s() -> None:
    assert numbered("select $1, $2") == "select %s, %s"
