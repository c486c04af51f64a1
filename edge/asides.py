"""What the pool node is told beside a session's messages, and what its errors are told of the client's names.

Before the bytes that refer to them go the texts of statements (`needed`) and frames of the session's own: what a name
stands for in each case (`Choice`), and the word that the edge knows of a failure. An error that names a statement comes
with the place of the message that failed, so the name that the client had in that message can be put into it.
"""

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

from edge.conditions import CERTAIN, Conditions
from edge.meaning import Script, Statement
from edge.registry import Registry
from edge.seen import Alternative, Step, steps_of
from protos.link.link_pb2 import Choice, Failed, Frame, Option, Outcome, Worded
from protos.pg.messages import parse
from protos.pg.names import FULL, GONE, PREFIX, TOKEN, USED
from protos.pg.sql_statements import Kind

# In flight at once. An error of a message beyond shows the shared name.
MAX_USES: Final = 10_000
# Commands that run one another: each is said of with every message that runs the first.
MAX_NESTED: Final = 8

_OURS: Final = re.compile(rb"%s|%s|%s[0-9a-f]{32}" % (USED, GONE, PREFIX))
_EMPTY: Final = parse(b"", b"")
# An EXECUTE for whose finds there was no room: no description is better than a wrong one.
_UNDESCRIBED: Final = Statement(FULL, b"", b"")


class Asides:
    """Of one session."""

    __slots__ = ("_choices", "_frames", "_needed", "_registry", "uses")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._needed: list[Statement] = []
        self._frames: list[Frame] = []
        self.uses: deque[tuple[int, int, bytes]] = deque()
        """Places of messages in flight, and the client's names in them."""
        self._choices = 0

    def take_needed(self) -> list[Statement]:
        """The statements that what goes out now refers to."""
        needed = self._needed
        if needed:
            self._needed = []
        return needed

    def take_frames(self) -> list[Frame]:
        """What is to be said before it; of no channel yet."""
        frames = self._frames
        if frames:
            self._frames = []
        return frames

    def need(self, statement: Statement) -> None:
        """A message that goes out refers to this statement."""
        if not self._needed or self._needed[-1] is not statement:
            self._needed.append(statement)

    def use(self, name: bytes) -> None:
        """The message that goes out now has this name of the client's; an error of it is to say so."""
        if len(self.uses) < MAX_USES:
            self.uses.append((self._registry.asked, self._registry.place, name))

    def choose(
        self, name: bytes, number: int | None = None, *, is_run: bool = True, follows: bool = True, plain: bool = False
    ) -> Choice:
        """Say beside the message what a name stands for in each case; nothing, for a command about all names.

        is_run: else it counts only whether the name stands for anything, which must not fail for what that is.
        follows: and if it runs a command, what that names is wanted in front of it.
        plain: what it stands for is wanted under this name itself, as it is for a Query (number 0).
        """
        if is_run and follows:
            is_there = plain or number == 0
            self._make_nested(one for one in self._within(name) if one[0] != name or not is_there)
        if number is None:
            number = self._next_number()
        is_about_all = not (name or number)
        alternatives = [(CERTAIN, None)] if is_about_all else self._registry.alternatives(name)
        return self._say(Choice(id=number, name=name, plain=plain), alternatives, is_run=is_run)

    def told_of(self, script: Script, use: bytes, parsed: Statement | None = None) -> bytes:
        """What stands for a statement that is a command: what it names is wanted beside it, then it goes by `use`.

        parsed: it is an EXECUTE that is parsed by this name, so what it has found must be what that is described by.
        """
        command, _ = script
        inner = [] if parsed is None else list(steps_of(parsed))[:-1]
        has_changed = self._have_changed(inner)
        if has_changed:
            self._make_found(inner)
        choice = self.choose(command.name, is_run=command.kind is Kind.EXECUTE, follows=not has_changed, plain=True)
        choice.use = use
        return token_of(choice)

    def describe(self, name: bytes) -> bytes:
        """What stands for a statement that is to be described; an EXECUTE is parsed with what it has found."""
        alternatives = self._registry.alternatives(name)
        found = [(conditions, one) for conditions, one in alternatives if one is not None]
        self._make_found([step for conditions, one in reversed(found) for step in steps_of(one, conditions)])
        described = [(conditions, None if one is None else _described(one)) for conditions, one in alternatives]
        return token_of(self._say(Choice(id=self._next_number(), name=name), described))

    def _make_found(self, steps: list[Step]) -> None:
        """Have names stand for what was found when the statement is parsed, and for what they do now behind that."""
        for step in steps:
            choice = self._say(Choice(name=step.name, plain=True), step.alternatives)
            if step.may_stay:
                choice.options.add(stays=True)
        if self._have_changed(steps):
            for name in dict.fromkeys(step.name for step in steps):
                self._make_nested([*self._within(name), (name, True)], is_behind=True)

    def _have_changed(self, steps: list[Step]) -> bool:
        """Whether a name stands for something else now than it did."""
        return any(step.alternatives != self._registry.alternatives(step.name) for step in steps)

    def _next_number(self) -> int:
        self._choices += 1
        return self._choices

    def make(self, script: Script) -> None:
        """The message that goes out is a Parse of this command: what it names must be there."""
        command, _ = script
        if command.kind is not Kind.FORGET_ALL:
            runs = command.kind is Kind.EXECUTE
            self._make_nested([*(self._within(command.name) if runs else ()), (command.name, runs)])

    def _make_nested(self, names: Iterable[tuple[bytes, bool]], *, is_behind: bool = False) -> None:
        for name, runs in names:
            choice = Choice(name=name, plain=True, behind=is_behind)
            self._say(choice, self._registry.alternatives(name), is_run=runs)

    def _within(self, name: bytes) -> list[tuple[bytes, bool]]:
        """The names in the command that a name may stand for, if it does, and whether it runs them; in theirs, too.

        Those come first that are named last.
        """
        found: dict[bytes, bool] = {}
        waiting = [name]
        while waiting and len(found) < MAX_NESTED:
            outer = waiting.pop()
            for _, statement in self._registry.alternatives(outer):
                command = None if statement is None or statement.script is None else statement.script[0]
                if command is None or command.kind is Kind.FORGET_ALL:
                    continue
                runs = command.kind is Kind.EXECUTE
                if runs and not found.get(command.name, False):
                    waiting.append(command.name)
                found[command.name] = found.pop(command.name, False) or runs
        return list(reversed(found.items()))

    def _say(self, choice: Choice, alternatives: Iterable[Alternative], *, is_run: bool = True) -> Choice:
        for conditions, statement in alternatives:
            choice.options.append(self._option(conditions, statement, is_run=is_run))
        frame = Frame(choice=choice)
        self._frames.append(frame)
        return frame.choice

    def _option(self, conditions: Conditions, statement: Statement | None, *, is_run: bool) -> Option:
        outcomes = [Outcome(sync_point=one.sync_point, place=one.place, failed=not one.happens) for one in conditions]
        if statement is None:
            return Option(outcomes=outcomes)
        if not (is_run or statement.is_too_long):
            statement = self._registry.meaning_of(_EMPTY)
        if not statement.is_too_long:
            self.need(statement)
        return Option(outcomes=outcomes, statement=statement.name, sql=statement.is_sql)

    def confirm(self) -> None:
        """The edge knows of a failure."""
        self._frames.append(Frame(failed=Failed()))

    def worded(self, worded: Worded) -> bytes:
        """An ErrorResponse with the client's name in the place of ours."""
        here = (worded.sync_point, worded.place)
        names = [name for sync_point, place, name in self.uses if (sync_point, place) == here]
        body = _OURS.sub(lambda found: names[0] if names else found[0], worded.error[5:])
        return worded.error[:1] + (len(body) + 4).to_bytes(4, "big") + body

    def settle(self) -> None:
        """More has been answered."""
        uses, settled = self.uses, self._registry.settled
        while uses and uses[0][0] < settled:
            uses.popleft()

    def put_aside(self) -> tuple[list[Statement], list[Frame]]:
        """What is to be said so far; `put_back` forgets what has come since."""
        return list(self._needed), list(self._frames)

    def put_back(self, said: tuple[list[Statement], list[Frame]]) -> None:
        self._needed, self._frames = said
        self.uses.clear()

    def clear(self) -> None:
        """The channel is gone, and all that was to be said on it."""
        self._needed = []
        self._frames = []
        self.uses.clear()


def _described(statement: Statement) -> Statement:
    """The statement under the name by which it is described."""
    if statement.seen is not None:
        return statement.seen.as_described(statement)
    return _UNDESCRIBED if statement.is_execute else statement


def token_of(choice: Choice) -> bytes:
    """What stands for a statement that is chosen beside the database."""
    return TOKEN + b"%d" % choice.id
