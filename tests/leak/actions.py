"""What sessions do: every action is a coroutine of a player, that knows what it changes in the model.

Settings are set in every way by which a statement can do it, openly or through a function, procedure, trigger, default,
rule, view or COPY. What cannot be carried to another connection (locks, channels, temporary tables, cursors, prepared
statements) is taken openly, which `track` and `reset` refuse for some, and through functions and triggers, which they
cannot see beforehand and must take away afterwards. All sessions use the same names for them, so that another's shows.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from protos.pg.messages import bind, close_statement, copy_data, copy_done, execute, parse, query, sync
from tests.leak.client import Answer
from tests.leak.model import MEANINGS, NAMES, PROBE, Model, copied
from tests.leak.player import Change, Player

_LATER: Final = "SELECT set_config('leak.name', '{name}', true), set_config('leak.value', '{value}', true); "
WAYS: Final = {
    "SET": "SET {name} TO {literal}",
    "set_config": "SELECT set_config('{name}', '{value}', false)",
    "computed set_config": "SELECT set_config('{name}' || '', upper('') || '{value}', false)",
    "plpgsql": "SELECT leak_set('{name}', '{value}')",
    "SQL function": "SELECT leak_set_sql('{name}', '{value}')",
    "procedure": "CALL leak_set_call('{name}', '{value}')",
    "DO": "DO $$ BEGIN PERFORM set_config('{name}', '{value}', false); END $$",
    "trigger": "INSERT INTO leak_trigger VALUES ('{name}', '{value}')",
    "rule": "INSERT INTO leak_rule VALUES ('{name}', '{value}')",
    "default": _LATER + "INSERT INTO leak_default DEFAULT VALUES",
    "view": _LATER + "SELECT set_to FROM leak_view",
}
OPEN_WAYS: Final = frozenset({"SET", "set_config"})
_UNSEEN: Final = ("SELECT leak_run({literal})", "INSERT INTO leak_runs VALUES ({literal})")


@attrs.frozen
class Kind:
    """A kind of action."""

    name: str
    act: Callable[[Player], Awaitable[None]]
    weight: int
    where: str = "any"
    """`any`, `out` of a transaction only, or `in` one only."""


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _set_to(name: str, value: str) -> str:
    """What SET takes: search_path would take a quoted list for one name."""
    return value if name == "search_path" else literal(value)


def _choose(player: Player) -> tuple[str, str]:
    """A setting and a value for it; no role where a temporary table is, which another role could not read."""
    held = [each for each in (player.model.now, player.model.begun, player.model.savepoint) if each is not None]
    names = [name for name in NAMES if name != "role" or not any(each.shadow for each in held)]
    name = player.random.choice(names)
    return name, player.model.value_for(name)


def _is_refused(player: Player, name: str) -> bool:
    return player.mode == "reset" and name in MEANINGS and not player.model.in_transaction


async def set_one(player: Player) -> None:
    name, value = _choose(player)
    way = player.random.choice(list(WAYS))
    sql = WAYS[way].format(name=name, value=value, literal=_set_to(name, value))
    refused = way in OPEN_WAYS and _is_refused(player, name)
    await player.run(sql, lambda model: model.set(name, value), refused=refused)


async def set_with_arguments(player: Player) -> None:
    name, value = _choose(player)
    sql = b"SELECT set_config($1, $2, false)"
    messages = [parse(b"", sql), bind(b"", b"", (name.encode(), value.encode())), execute(), sync()]
    await player.ask(f"{sql.decode()} with {name}, {value}", messages, lambda model: model.set(name, value))


async def set_by_copy(player: Player) -> None:
    name, value = _choose(player)
    sql = "COPY leak_trigger FROM STDIN"
    player.history.append(f"{sql}: {name}, {value}")
    answer = await player.client.query(sql)
    if answer.status != "G":
        player.heard(sql, answer)
        return
    answer = await player.client.ask(copy_data(f"{name}\t{value}\n".encode()), copy_done())
    player.heard(sql, answer, lambda model: model.set(name, value))


async def set_several_and_look(player: Player) -> None:
    """In one message, which is one transaction: within it everything holds, in every mode."""
    (name, value), (other, word) = _choose(player), _choose(player)
    trial = copied(player.model)
    for each, its in ((name, value), (other, word)):
        trial.set(each, its)

    def change(model: Model) -> None:
        model.set(name, value)
        model.set(other, word)

    sql = f"SET {name} TO {_set_to(name, value)}; SELECT leak_set('{other}', '{word}'); {PROBE}"
    answer = await player.run(sql, change)
    if answer is not None:
        player.compare(answer, trial.expected())


async def set_and_fail(player: Player) -> None:
    """In one message that fails: nothing of it holds."""
    name, value = _choose(player)
    sql = f"SELECT leak_set('{name}', '{value}'); SELECT 1/0"
    player.history.append(sql)
    answer = await player.client.query(sql)
    if answer.sqlstate == "22012":
        answer = attrs.evolve(answer, sqlstate="")
    player.heard(sql, answer)


async def set_locally(player: Player) -> None:
    name, value = _choose(player)
    await player.run(f"SET LOCAL {name} TO {_set_to(name, value)}", lambda model: model.set(name, value, local=True))


async def reset_one(player: Player) -> None:
    name = player.random.choice(NAMES)
    sql = player.random.choice([f"RESET {name}", f"SET {name} TO DEFAULT"])
    await _either_way(player, sql, lambda model: model.reset(name))


async def reset_all(player: Player) -> None:
    await _either_way(player, "RESET ALL", lambda model: model.reset_all())


async def _either_way(player: Player, sql: str, change: Change) -> None:
    """By the simple or by the extended protocol."""
    messages = [parse(b"", sql.encode()), bind(b"", b""), execute(), sync()]
    await player.ask(sql, messages if player.random.random() < 0.5 else [query(sql.encode())], change)


async def discard_all(player: Player) -> None:
    if player.model.may_discard_all:
        await player.run("DISCARD ALL", lambda model: model.discard_all())


async def begin(player: Player) -> None:
    await player.run("BEGIN", lambda model: model.begin())


async def commit(player: Player) -> None:
    await _end(player, "COMMIT")


async def roll_back(player: Player) -> None:
    await _end(player, "ROLLBACK")


async def _end(player: Player, sql: str) -> None:
    player.history.append(sql)
    answer = await player.client.query(sql)
    player.model.end(commit=sql == "COMMIT")
    player.heard(sql, answer)


async def save(player: Player) -> None:
    await player.run("SAVEPOINT leak_save", lambda model: model.save())


async def back_to_savepoint(player: Player) -> None:
    if player.model.savepoint is None:
        await save(player)
        return
    player.history.append("ROLLBACK TO leak_save")
    answer = await player.client.query("ROLLBACK TO leak_save")
    player.model.back_to_savepoint()
    player.heard("ROLLBACK TO leak_save", answer)


async def fail(player: Player) -> None:
    player.history.append("SELECT 1/0")
    player.model.has_failed = True
    answer = await player.client.query("SELECT 1/0")
    player.heard("SELECT 1/0", attrs.evolve(answer, sqlstate="" if answer.sqlstate == "22012" else answer.sqlstate))


# --- what only its own connection has ---


async def _hold(player: Player, openly: str, change: Callable[[Model], object], *, refusable: bool) -> None:
    """Take hold of something, openly or through a function or a trigger."""
    if not await player.may_pin():
        await player.probe()
        return
    refused = False
    sql = openly
    if player.random.random() < 0.6:
        sql = player.random.choice(_UNSEEN).format(literal=literal(openly))
    else:
        refused = refusable and player.mode != "pin"
    await player.run(sql, change, refused=refused)
    player.let_go_if_free()


async def lock(player: Player) -> None:
    key = player.model.number * 100 + player.random.randrange(3)

    def change(model: Model) -> None:
        model.now.locks |= {key}

    if key not in player.model.now.locks:  # a second time it would have to be released twice
        await _hold(player, f"SELECT pg_advisory_lock({key})", change, refusable=True)


async def listen(player: Player) -> None:
    channel = f"leak_{player.model.mark}_{player.random.randrange(2)}"

    def change(model: Model) -> None:
        model.now.pending |= {channel}

    await _hold(player, f"LISTEN {channel}", change, refusable=True)


async def notify(player: Player) -> None:
    channel = player.random.choice(list(player.shared.channels.values()))
    await player.run(f"SELECT pg_notify('{channel}', '{player.model.mark}')")


async def make_temporary(player: Player) -> None:
    word = player.model.word()
    if player.model.now.shadow:
        await read_shadow(player)
        return

    def change(model: Model) -> None:
        model.now.shadow = word

    sql = f"CREATE TEMPORARY TABLE leak_shadow AS SELECT '{word}'::text AS mark"
    await _hold(player, sql, change, refusable=False)


async def read_shadow(player: Player) -> None:
    wanted = player.model.now.shadow or "public"
    _expect(player, await player.run("SELECT mark FROM leak_shadow"), wanted, "leak_shadow")


async def declare(player: Player) -> None:
    word = player.model.word()
    if player.model.now.cursor:
        wanted = player.model.now.cursor
        _expect(player, await player.run("FETCH ABSOLUTE 1 FROM leak_cursor"), wanted, "leak_cursor")
        return

    def change(model: Model) -> None:
        model.now.cursor = word

    sql = f"DECLARE leak_cursor SCROLL CURSOR WITH HOLD FOR SELECT '{word}'::text"
    await _hold(player, sql, change, refusable=True)


async def prepare(player: Player) -> None:
    word = player.model.word()
    if player.model.now.prepared:
        answer = await player.run("EXECUTE leak_statement", lambda model: _forget(model, shown=model.now.prepared))
        _expect(player, answer, player.model.now.prepared, "leak_statement")
        return
    if not await player.may_pin():
        await player.probe()
        return
    sql = f"PREPARE leak_statement AS SELECT '{word}'::text"
    unseen = player.random.random() < 0.6
    if unseen:
        sql = player.random.choice(_UNSEEN).format(literal=literal(sql))
    await player.run(sql, lambda model: _forget(model, prepared=word, shown=word, unseen=unseen))
    player.let_go_if_free()


async def execute_missing(player: Player) -> None:
    """Nobody else's prepared statement or cursor is there."""
    now = player.model.now
    for sql, held in (("EXECUTE leak_statement", now.prepared), ("FETCH ALL FROM leak_cursor", now.cursor)):
        if held:
            continue
        player.history.append(sql)
        answer = await player.client.query(sql)
        if answer.sqlstate in {"26000", "34000"}:
            answer = attrs.evolve(answer, sqlstate="")
        elif not answer.sqlstate:
            player.violated(f"{sql} gave {answer.rows}: LEAK")
        player.heard(sql, answer)


async def let_go(player: Player) -> None:
    """Give back one thing that it holds."""
    now = player.model.now
    ways: list[tuple[str, Callable[[Model], object]]] = []
    if now.locks:
        ways.append(("SELECT pg_advisory_unlock_all()", lambda model: _forget(model, locks=frozenset())))
    if now.channels:
        ways.append(("UNLISTEN *", lambda model: _forget(model, channels=frozenset())))
    if now.shadow:
        ways.append(("DISCARD TEMP", lambda model: _forget(model, shadow="")))
    if now.cursor:
        ways.append(("CLOSE leak_cursor", lambda model: _forget(model, cursor="")))
    if now.prepared:
        ways.append(("DEALLOCATE leak_statement", lambda model: _forget(model, prepared="", shown="")))
    if not ways:
        await player.probe()
        return
    await player.run(*player.random.choice(ways))


def _forget(model: Model, **what: str | bool | frozenset[int] | frozenset[str]) -> None:
    model.now = attrs.evolve(model.now, **what)  # type: ignore[arg-type]


def _expect(player: Player, answer: Answer | None, wanted: str, what: str) -> None:
    if answer is not None and answer.value != wanted:
        player.violated(f"{what} gave {answer.value!r}, and should give {wanted!r}: LEAK")


# --- sequences, rows, statements of the protocol ---


async def draw(player: Player) -> None:
    sql = player.random.choice(
        (
            "SELECT nextval('leak_sequence')",
            f"INSERT INTO leak_serial (number) VALUES ({player.model.number}) RETURNING id",
        )
    )
    answer = await player.run(sql)
    if answer is not None and answer.value is not None:
        player.model.drawn.add(answer.value)


async def ask_what_was_drawn(player: Player) -> None:
    """What currval tells is its own, or nothing."""
    if player.model.in_transaction:
        await draw(player)
    sql = player.random.choice(("SELECT currval('leak_sequence')", "SELECT lastval()"))
    player.history.append(sql)
    answer = await player.client.query(sql)
    if answer.sqlstate == "55000" and not player.model.in_transaction:
        answer = attrs.evolve(answer, sqlstate="")
    elif not answer.sqlstate and answer.value not in player.model.drawn:
        player.violated(f"{sql} gave {answer.value}, which it has not drawn: LEAK")
    player.heard(sql, answer)


async def write_rows(player: Player) -> None:
    """What was written is read back by the number."""
    number = player.model.number
    await player.run(f"INSERT INTO leak_rows VALUES ({number}, '{player.model.word()}')")
    answer = await player.run(f"SELECT DISTINCT substr(word, 1, 7) FROM leak_rows WHERE number = {number}")
    _expect(player, answer, player.model.mark, "leak_rows") if answer is not None and answer.rows else None


async def prepare_by_protocol(player: Player) -> None:
    model = player.model
    name, word = player.random.choice(("p1", "p2")), model.word()
    if name in model.statements:
        await _close(player, name)
    sql = f"SELECT '{word}'::text, number::text FROM mine"
    if model.in_transaction and model.has_failed:
        return
    answer = await player.ask(f"Parse {name}: {sql}", [parse(name.encode(), sql.encode()), sync()])
    if answer is not None:
        model.statements[name] = word


async def _close(player: Player, name: str) -> None:
    if await player.ask(f"Close {name}", [close_statement(name.encode()), sync()]) is not None:
        del player.model.statements[name]


async def execute_by_protocol(player: Player) -> None:
    model = player.model
    if not model.statements:
        await prepare_by_protocol(player)
        return
    name = player.random.choice(list(model.statements))
    word, mine = model.statements[name], model.expected()["mine"]
    words = f"Bind, Execute {name}"
    player.history.append(words)
    answer = await player.client.ask(bind(b"", name.encode()), execute(), sync())
    answered = player.heard(words, answer)
    if answered is not None and answered.rows and answered.rows[0][0] is not None:
        seen = answered.rows[0]
        wanted = (word, mine)
        if seen != wanted or not str(seen[0]).startswith(model.mark):
            player.violated(f"the statement {name} gave {seen}, and should give {wanted}")


async def probe(player: Player) -> None:
    await player.probe()


KINDS: Final = (
    Kind("set", set_one, 22),
    Kind("set with arguments", set_with_arguments, 4),
    Kind("set by COPY", set_by_copy, 3),
    Kind("set several and look", set_several_and_look, 4),
    Kind("set and fail", set_and_fail, 2, "out"),
    Kind("set locally", set_locally, 8, "in"),
    Kind("reset", reset_one, 3),
    Kind("reset all", reset_all, 1),
    Kind("discard all", discard_all, 1, "out"),
    Kind("begin", begin, 14, "out"),
    Kind("commit", commit, 12, "in"),
    Kind("roll back", roll_back, 7, "in"),
    Kind("savepoint", save, 4, "in"),
    Kind("back to savepoint", back_to_savepoint, 4, "in"),
    Kind("fail", fail, 2, "in"),
    Kind("lock", lock, 5),
    Kind("listen", listen, 5),
    Kind("notify", notify, 3),
    Kind("temporary table", make_temporary, 6),
    Kind("read shadowed table", read_shadow, 3),
    Kind("cursor with hold", declare, 4),
    Kind("SQL prepare", prepare, 4),
    Kind("execute what is missing", execute_missing, 2, "out"),
    Kind("let go", let_go, 7, "out"),
    Kind("nextval", draw, 3),
    Kind("currval", ask_what_was_drawn, 4),
    Kind("rows", write_rows, 3),
    Kind("prepare by protocol", prepare_by_protocol, 4),
    Kind("execute by protocol", execute_by_protocol, 8),
    Kind("probe", probe, 12),
)
AFTER_FAILURE: Final = (roll_back, commit, back_to_savepoint)


def kinds_for(model: Model) -> list[Kind]:
    """What may be done now."""
    place = "in" if model.in_transaction else "out"
    return [kind for kind in KINDS if kind.where in {"any", place}]
