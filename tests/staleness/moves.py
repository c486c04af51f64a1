"""What clients do, and what fails beside them, as values: Hypothesis draws scripts, and makes a bad one smaller.

A script is played by some clients at once, each with a track of its own. The number of tracks and of moves is fixed;
what a script needs less of is drawn as `Rest`, which is also the simplest move, so a script is made smaller by resting.
"""

from enum import Enum
from typing import Final

import attrs
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from tests.staleness.subjects import DDL, PILES, ROWS, Read, Subject

TRACKS: Final = 6
MOVES: Final = 10
#: What is read by all is kept: so many pairs of subject and read are in use in a script.
FOCUS: Final = 3
MAX_LOOKS: Final = 8
# Longer than the shortest age of an answer; longer than a lease; most are short, for there are many.
PAUSES_S: Final = (0.02, 0.1, 0.4)
LASTING_S: Final = (0.1, 0.5, 1.5, 4.0)

#: Of the scripts of a long game: what is read changes not so often.
LONG_TRACKS: Final = 12
LEAST_MOVES: Final = LONG_TRACKS * MOVES * 3 // 4

_SUBJECTS: Final = (*ROWS * 3, *PILES * 6, *DDL)
_CHOICES: Final = 60  # among a subject's writes, of which there are fewer


class Ending(Enum):
    """How a write ends."""

    COMMIT = "commit"
    ROLL_BACK = "roll back"
    FAIL = "fail"
    VANISH = "vanish"
    """Its client does not wait for the last answer."""
    LEAVE = "leave"
    """The same, but it says goodbye."""
    VANISH_HALFWAY = "vanish halfway"
    LEAVE_HALFWAY = "leave halfway"

    @property
    def is_halfway(self) -> bool:
        return self in (Ending.VANISH_HALFWAY, Ending.LEAVE_HALFWAY)

    @property
    def says_goodbye(self) -> bool:
        return self in (Ending.LEAVE, Ending.LEAVE_HALFWAY)

    @property
    def is_sent(self) -> bool:
        """What commits is sent, whether or not somebody hears the answer."""
        return self in (Ending.COMMIT, Ending.VANISH, Ending.LEAVE)


@attrs.frozen
class Rest:
    """Do nothing."""


@attrs.frozen
class Pause:
    seconds: float


@attrs.frozen
class Look:
    """Read so many times."""

    place: int
    """In the focus, as of the other moves."""
    times: int = 1


@attrs.frozen
class LookTwice:
    """Read in a transaction, and again."""

    place: int
    repeatable: bool = False


@attrs.frozen
class Change:
    """Write in one of the subject's ways."""

    place: int
    way: int
    ending: Ending = Ending.COMMIT
    looks_first: bool = False
    """In its transaction."""
    pause_s: float = 0.0
    """Between the halves of a COPY."""


Move = Rest | Pause | Look | LookTwice | Change


@attrs.frozen
class Fault:
    """Something breaks, and is mended."""

    kind: str
    """A method of `Faults`."""
    which: int
    after_s: float
    lasts_s: float


@attrs.frozen(repr=False)
class Script:
    """What is played."""

    focus: tuple[tuple[Subject, Read], ...]
    tracks: tuple[tuple[Move, ...], ...]
    faults: tuple[Fault, ...] = ()

    def __repr__(self) -> str:
        """As it is told to who has to find out what went wrong."""
        lines = [f"focus {place}: {subject}, {read}" for place, (subject, read) in enumerate(self.focus)]
        lines += [f"client {number}: {line}" for number, line in enumerate(map(self._words, self.tracks)) if line]
        return "\n".join([*lines, *map(str, self.faults)])

    def _repr_pretty_(self, printer: RepresentationPrinter, _: bool) -> None:  # noqa: FBT001 - Hypothesis calls it
        printer.text("..., which is told below")

    def _words(self, track: tuple[Move, ...]) -> str:
        return "; ".join(f"{move}{self._way(move)}" for move in track if not isinstance(move, Rest))

    def _way(self, move: Move) -> str:
        if not isinstance(move, Change):
            return ""
        subject, _ = self.focus[move.place]
        return f" ({subject.writes[move.way % len(subject.writes)].name})"


_places: Final = st.integers(0, FOCUS - 1)
_seldom: Final = st.sampled_from((False, False, False, True))
_endings: Final = st.sampled_from((*[Ending.COMMIT] * 8, *Ending))

_looks: Final = st.builds(Look, _places, st.integers(1, MAX_LOOKS))
_changes: Final = st.builds(
    Change, _places, st.integers(0, _CHOICES - 1), _endings, _seldom, st.sampled_from((0.0, 0.0, 0.0, *PAUSES_S[:2]))
)
_moves: Final = st.one_of(
    st.just(Rest()), _looks, _looks, _looks, st.builds(LookTwice, _places, _seldom), _changes, _changes,
    st.builds(Pause, st.sampled_from(PAUSES_S)),
)  # fmt: skip
_focus: Final = st.sampled_from(_SUBJECTS).flatmap(
    lambda subject: st.tuples(st.just(subject), st.sampled_from(subject.reads))
)
#: Methods of `Faults`.
BRIEF: Final = ("cut_a_link", "silence_a_link", "silence_one_direction", "silence_an_edge", "kill_an_edge")
ALL: Final = (*BRIEF, "kill_a_pool_node")


def _faults(kinds: tuple[str, ...]) -> st.SearchStrategy[Fault]:
    return st.builds(
        Fault, st.sampled_from(kinds), st.integers(0, 11), st.floats(0.0, 1.0, width=16), st.sampled_from(LASTING_S)
    )


@st.composite
def scripts(draw: st.DrawFn, *, tracks: int = TRACKS, faults: int = 0, kinds: tuple[str, ...] = ALL) -> Script:
    """All scripts of so many tracks and faults."""
    return Script(
        draw(st.tuples(*[_focus] * FOCUS)),
        draw(st.tuples(*[st.tuples(*[_moves] * MOVES)] * tracks)),
        draw(st.tuples(*[_faults(kinds)] * faults)),
    )


def drawn(actions: int, seed_: int) -> list[Script]:
    """Scripts with so many moves in all, the same for the same seed."""
    found: list[Script] = []

    @seed(seed_)
    @settings(
        max_examples=actions // LEAST_MOVES + 2, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(script=scripts(tracks=LONG_TRACKS, faults=1))
    def keep(script: Script) -> None:
        found.append(script)

    keep()
    return found
