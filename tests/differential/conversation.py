"""Random conversations, put together from the lines of `lines`.

Most of a conversation is drawn freely, so that errors, failed transactions and names that do not exist come about by
themselves. Some shapes are made on purpose: groups of the extended protocol, pipelines of them, transactions, COPY in
its variants, and the scenes of the table of differences.

Hypothesis gives the source of chance and no more. It would draw each of these choices by itself, but takes longer over
that than two servers over the conversation; and it repeats itself, in order to find faults that repetition shows.
Conversations that fail are made small by `many.reduced`.
"""

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, TypeVar

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential import lines
from tests.differential.modes import Mode
from tests.differential.script import (
    Chunk,
    Conversation,
    Ending,
    Neighbour,
    Say,
    Until,
    bind,
    chunk,
    close_portal,
    close_statement,
    copy_data,
    copy_done,
    copy_fail,
    describe_portal,
    describe_statement,
    execute,
    flush,
    parse,
    query,
    sync,
)

T = TypeVar("T")
Steps = tuple[Chunk | Neighbour, ...]

MIN_SHAPES: Final = 3
MAX_SHAPES: Final = 12


class Author:
    """Draws what is said."""

    def __init__(self, random: Random, mode: Mode) -> None:
        self._random = random
        self._mode = mode

    def conversation(self) -> Conversation:
        """A session from its connect to its end."""
        parameters = self._one(lines.PARAMETERS)
        shapes = [self._shape, self._shape, self._transaction, self._transaction, self._scene]
        shapes += [self._reads] * self._mode.reads
        steps = [step for _ in range(self._random.randint(MIN_SHAPES, MAX_SHAPES)) for step in self._one(shapes)()]
        if parameters:
            steps = [_without_reset(step) for step in steps]
        return Conversation(parameters, tuple(steps), self._one(tuple(Ending)))

    # --- chance ---

    def _one(self, several: Sequence[T]) -> T:
        return self._random.choice(several)

    def _some(self, several: Sequence[T], least: int, most: int) -> list[T]:
        return [self._one(several) for _ in range(self._random.randint(least, most))]

    def _once_in(self, number: int) -> bool:
        return self._random.randrange(number) == 0

    # --- statements ---

    def _sql(self) -> str:
        """One statement, or several in one query."""
        if self._once_in(5):
            return "; ".join(self._statement() for _ in range(self._random.randint(2, 4)))
        return self._statement()

    def _statement(self) -> str:
        if self._mode.pins and self._once_in(3):
            return self._one(lines.HELD)
        return self._kept(
            self._one((
                lines.TRANSACTION, lines.READING, lines.READING, lines.WRITING, lines.WRITING, lines.SPEAKING,
                lines.CURSORS, lines.LOCAL, lines.SESSION, lines.SESSION,
            ))
        )  # fmt: skip

    def _kept(self, several: Sequence[str]) -> str:
        """One of them that is not refused because it would be forgotten."""
        statement = self._one(several)
        return "select 'refused'" if self._mode.forgets and _REFUSED_IN_RESET.match(statement) else statement

    # --- groups of messages ---

    def _values(self, statement: int) -> tuple[str | None, ...]:
        """Mostly the parameters that it wants; sometimes others, or too many."""
        return tuple(self._some(lines.ODD_VALUES, 0, 2)) if self._once_in(5) else lines.PREPARED[statement][1]

    def _unnamed(self) -> tuple[Say, ...]:
        """Parse, perhaps Describe, Bind, perhaps Describe, and Executes: an unnamed statement."""
        number = self._random.randrange(len(lines.PREPARED))
        portal = self._one(("", "", "p"))
        says = [parse("", lines.PREPARED[number][0])]
        if self._once_in(3):
            says.append(describe_statement(""))
        says.append(bind(portal, "", *self._values(number), binary=self._once_in(6)))
        if self._once_in(2):
            says.append(describe_portal(portal))
        says += [execute(portal, rows) for rows in self._some((0, 0, 1, 2), 1, 3)]
        if self._once_in(6):
            says.append(close_portal(portal))
        return tuple(says)

    def _free(self) -> tuple[Say, ...]:
        """Any single statement by the extended protocol; several are an error there."""
        return parse("", self._sql()), bind("", ""), describe_portal(""), execute("", self._one((0, 0, 0, 1)))

    def _named(self) -> tuple[Say, ...]:
        """Use of a named statement, which may be there or not."""
        number = self._random.randrange(len(lines.PREPARED))
        portal = self._one(("", "p", "q"))
        says = [bind(portal, lines.NAMES[number], *self._values(number)), execute(portal, self._one((0, 0, 2)))]
        if self._once_in(2):
            says.insert(0, describe_statement(lines.NAMES[number]))
        return tuple(says)

    def _making(self) -> tuple[Say, ...]:
        """Parse of a name that may be in use, or its Close."""
        name, number = self._one(lines.NAMES), self._random.randrange(len(lines.PREPARED))
        made, closed = parse(name, lines.PREPARED[number][0]), close_statement(name)
        return self._one(
            ((made,), (made,), (closed, made), (closed,), (made, bind("", name), execute()), (made, closed))
        )

    def _command(self) -> tuple[Say, ...]:
        """SQL about a name, by the extended protocol; an EXECUTE also by a statement that is used again."""
        sql = self._one(lines.COMMANDS)
        if self._once_in(4) and "execute" in sql.lower():
            name = self._one(("x0", "x1"))
            made = self._one(((close_statement(name), parse(name, sql)), ()))
            used = self._one(((), (describe_statement(name),), (bind("", name), describe_portal(""), execute())))
            return (*made, *used, sync())
        if self._once_in(3):
            return parse("", sql), describe_statement(""), bind("", ""), describe_portal(""), execute()
        return parse("", sql), bind("", ""), execute()

    def _loose(self) -> tuple[Say, ...]:
        return self._one(lines.LOOSE)

    def _operations(self) -> tuple[Say, ...]:
        kinds = (
            self._unnamed,
            self._unnamed,
            self._unnamed,
            self._free,
            self._free,
            self._named,
            self._named,
            self._making,
            self._making,
            self._command,
            self._loose,
        )
        return tuple(say for kind in self._some(kinds, 1, 3) for say in kind())

    def _group(self) -> tuple[Say, ...]:
        """What stands before a sync point, with it."""
        chance = self._random.random()
        if chance < 0.6:
            return (*self._operations(), sync())
        if chance < 0.9:
            return (query(self._sql()),)
        return self._one(lines.CALLS) if chance < 0.97 else (sync(),)

    # --- shapes ---

    def _shape(self) -> Steps:
        shapes: tuple[Callable[[], Steps], ...] = (
            self._single, self._single, self._single, self._one_group, self._one_group, self._one_group, self._pipeline,
            self._pipeline, self._flushed, self._names, self._prepare, self._prepare, self._again, self._copy_in,
            self._copy_out, self._neighbour,
        )  # fmt: skip
        return self._one(shapes)()

    def _single(self) -> Steps:
        return (chunk(query(self._sql())),)

    def _one_group(self) -> Steps:
        return (chunk(*self._group()),)

    def _pipeline(self) -> Steps:
        return (chunk(*(say for _ in range(self._random.randint(2, 5)) for say in self._group())),)

    def _again(self) -> Steps:
        """The unnamed statement of an earlier group."""
        return (chunk(*self._one(lines.UNNAMED), sync()),)

    def _flushed(self) -> Steps:
        """A group whose answers are asked for before its Sync."""
        rest = self._one(((), (execute("", 1),), (execute("p", 1), flush())))
        return chunk(*self._unnamed(), flush(), until=Until.FLUSHED), chunk(*rest, sync())

    def _prepare(self) -> Steps:
        """Parse of a named statement after a Close of that name; perhaps its use, at once or later."""
        number = self._random.randrange(len(lines.PREPARED))
        name, sql = lines.NAMES[number], lines.PREPARED[number][0]
        close, make = (close_statement(name), sync()), (parse(name, sql), sync())
        chunks = [chunk(*close, *make)] if self._once_in(2) else [chunk(*close), chunk(*make)]
        while self._once_in(2):
            chunks.append(chunk(bind("", name, *self._values(number)), execute("", self._one((0, 2))), sync()))
        return (chunk(*(say for one in chunks for say in one.says)),) if self._once_in(3) else tuple(chunks)

    def _naming(self) -> tuple[Say, ...]:
        if self._once_in(3):
            return (query(self._one(lines.COMMANDS)),)
        kinds = self._some((self._making, self._named, self._command), 1, 3)
        return (*(say for kind in kinds for say in kind()), sync())

    def _names(self) -> Steps:
        """Groups about names, some by SQL: in a pipeline, or one after the other."""
        groups = [self._naming() for _ in range(self._random.randint(2, 5))]
        if self._once_in(2):
            return tuple(chunk(*group) for group in groups)
        return (chunk(*(say for group in groups for say in group)),)

    def _transaction(self) -> Steps:
        """Some shapes between a BEGIN and an end, in either protocol."""
        begin = self._one(("begin", "begin", "start transaction isolation level serializable"))
        end = self._one(("commit", "commit", "rollback", "commit and chain", "prepare transaction 'one'", "end"))
        within = [step for _ in range(self._random.randint(1, 4)) for step in self._shape()]
        if self._once_in(3):
            first, last = ((parse("", sql), bind("", ""), execute(), sync()) for sql in (begin, end))
            return chunk(*first), *within, chunk(*last)
        return chunk(query(begin)), *within, chunk(query(end))

    def _scene(self) -> Steps:
        scene = self._one(lines.TOPICS)
        return lines.at_once(scene) if self._once_in(3) else scene

    def _neighbour(self) -> Steps:
        return (self._one(lines.NEIGHBOURS),)

    # --- reads ---

    def _reads(self) -> Steps:
        """The same read several times, in several forms; perhaps its rows or its settings change meanwhile."""
        sql, values = self._one(lines.CACHEABLE)
        steps: list[Chunk | Neighbour] = []
        for _ in range(self._random.randint(2, 5)):
            if self._once_in(3):
                steps.append(chunk(query(self._kept(lines.CHANGING))))
            if self._once_in(4):
                steps.append(Neighbour(self._one(lines.WRITES), writes=True))
            steps += self._read(sql, values)
        return tuple(steps)

    def _read(self, sql: str, values: tuple[str, ...]) -> Steps:
        binary = self._once_in(4)
        run = (bind("", "", *values, binary=binary), execute("", self._one((0, 0, 1))), sync())
        by_name = (bind("", "r", *values, binary=binary), describe_portal(""), execute(), sync())
        make = (close_statement("r"), parse("r", sql))
        forms = [
            (chunk(parse("", sql), *run),),
            (chunk(parse("", sql), describe_statement(""), *run),),
            (chunk(*make, describe_statement("r"), sync()), chunk(*by_name), chunk(*by_name)),
            (chunk(*make, *by_name),),
        ]
        if not values:
            forms += [(chunk(query(sql)),)] * 3
        return self._one(forms)

    # --- COPY ---

    def _rows(self) -> tuple[Say, ...]:
        """Rows in several messages, cut anywhere, good or bad, and the end: CopyDone or CopyFail."""
        good = (lines.GOOD_ROW, "40\tforty\t4\n", "41,5\n")
        rows = "".join(self._some((*good, *good, *lines.BAD_ROWS), 0, 3))
        cut = self._random.randint(0, len(rows))
        end = copy_fail("the client gives up") if self._once_in(4) else copy_done()
        return (*(copy_data(part) for part in (rows[:cut], rows[cut:]) if part), end)

    def _copy_in(self) -> Steps:
        """COPY FROM STDIN: the data with the query or behind the answer, by both protocols."""
        sql, rows = self._one(lines.COPY_IN), self._rows()
        asked = (parse("", sql), bind("", ""), execute())
        return self._one((
            (chunk(query(sql), *rows),),
            (chunk(query(sql), until=Until.COPY_OR_READY), chunk(*rows, until=Until.READY_IF_COPYING)),
            (chunk(*asked, *rows, sync()),),
            (chunk(*asked, sync(), until=Until.COPY_OR_READY), chunk(*rows, sync())),
            (chunk(*asked, flush(), until=Until.FLUSHED), chunk(*rows, sync())),
            (chunk(*asked, flush(), until=Until.FLUSHED), chunk(*self._with_syncs(rows), sync(), until=Until.MARKED)),
            (chunk(query(sql), until=Until.COPY_OR_READY), chunk(*self._with_syncs(rows), until=Until.MARKED)),
        ))  # fmt: skip

    def _with_syncs(self, rows: tuple[Say, ...]) -> tuple[Say, ...]:
        """The same with Syncs and Flushes in between: those behind a bad row are answered."""
        return tuple(say for row in rows for say in (*self._some((sync(), sync(), flush()), 0, 2), row))

    def _copy_out(self) -> Steps:
        sql = self._one(lines.COPY_OUT)
        if self._once_in(2):
            return (chunk(parse("", sql), bind("", ""), execute(), sync()),)
        return (chunk(query(sql)),)


_REFUSED_IN_RESET: Final = re.compile(r"(?:set|reset) (?:role|search_path|session authorization)\b")
_RESET: Final = re.compile(
    r"\breset (?:all|datestyle|timezone|search_path|client_encoding|onetrip.word)\b"
    r"|\bset (?:local )?[a-z_.]+ to default\b|\bset time zone local\b"
)


def _without_reset(step: Chunk | Neighbour) -> Chunk | Neighbour:
    """Another statement in the place of a RESET among several that may be about a startup parameter, or DISCARD ALL."""
    if isinstance(step, Neighbour) or step.topic:
        return step
    return attrs.evolve(step, says=tuple(_said_instead(say) for say in step.says))


def _said_instead(say: Say) -> Say:
    if say.sql == "discard all":
        return query("deallocate all") if say.tag == "Q" else parse(str(say.arguments[0]), "deallocate all")
    return query(_RESET.sub("select 'reset'", say.sql)) if say.tag == "Q" and ";" in say.sql else say


def conversations(mode: Mode) -> SearchStrategy[Conversation]:
    """Any conversation, drawn by one seed of Hypothesis's; each mode has others."""

    def drawn(random: Random) -> Conversation:
        return Author(Random(f"{mode.name}/{random.getrandbits(64)}"), mode).conversation()

    return st.randoms(use_true_random=True).map(drawn)
