"""How clients vanish: idle, in a transaction, in the middle of a query or message, in COPY both ways, before a Sync.

Each leaves as much behind as it can first. Nobody is told anything, and nothing is waited for: the next session begins
at once, while the pool node still cleans up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from protos.pg.messages import bind, copy_data, execute, flush, parse, query
from tests.leak.player import Player

MAX_DELAY_S: Final = 0.03


def _mess(player: Player) -> str:
    """Statements that leave something of every kind, unseen."""
    model = player.model
    word = model.word()
    return (
        f"SELECT leak_set('app.x', '{word}'); SELECT leak_set('geqo_pool_size', '{model.number * 1000}');"
        f"SELECT leak_set('search_path', 'leak_s{model.slot}, public');"
        f"SELECT leak_run('SELECT pg_advisory_lock({model.number * 100 + 9})');"
        f"SELECT leak_run('LISTEN leak_{model.mark}_9');"
        f"SELECT leak_run('CREATE TEMPORARY TABLE IF NOT EXISTS leak_shadow AS SELECT ''{word}''::text AS mark');"
        f"SELECT leak_set('role', 'leak_r{model.slot}');"
    )


async def _briefly(player: Player) -> None:
    await asyncio.sleep(player.random.random() * MAX_DELAY_S)


async def while_idle(player: Player) -> None:
    await player.client.query(_mess(player))


async def with_query_begun(player: Player) -> None:
    player.client.send(query((_mess(player) + "SELECT pg_sleep(0.02)").encode()))
    await _briefly(player)


async def in_transaction(player: Player) -> None:
    if not player.model.in_transaction:
        await player.client.query("BEGIN")
    await player.client.query(_mess(player))


async def in_failed_transaction(player: Player) -> None:
    await in_transaction(player)
    await player.client.query("SELECT 1/0")


async def in_copy_in(player: Player) -> None:
    answer = await player.client.query(_mess(player) + "COPY leak_trigger FROM STDIN")
    if answer.status == "G":
        row = f"app.x\t{player.model.word()}\n".encode()
        player.client.send(copy_data(row * 50), copy_data(row)[: player.random.randrange(1, 20)])
        await _briefly(player)


async def in_copy_out(player: Player) -> None:
    sql = _mess(player) + f"COPY (SELECT '{player.model.mark}', g FROM generate_series(1, 100000) AS g) TO STDOUT"
    player.client.send(query(sql.encode()))
    await _briefly(player)


async def in_message(player: Player) -> None:
    message = query(_mess(player).encode())
    player.client.send(message[: player.random.randrange(1, len(message))])
    await _briefly(player)


async def before_sync(player: Player) -> None:
    messages = [
        parse(b"", b"SELECT leak_run($1)"),
        bind(b"", b"", (f"SELECT pg_advisory_lock({player.model.number * 100 + 8})".encode(),)),
        execute(),
    ]
    player.client.send(*messages, flush())
    await _briefly(player)


async def after_terminate(player: Player) -> None:
    """What was sent before runs to its end, without anybody."""
    player.client.send(query(_mess(player).encode()), b"X\0\0\0\4")
    await asyncio.sleep(0)


DEPARTURES: Final[tuple[Callable[[Player], Awaitable[None]], ...]] = (
    while_idle,
    with_query_begun,
    with_query_begun,
    in_transaction,
    in_failed_transaction,
    in_copy_in,
    in_copy_out,
    in_message,
    before_sync,
    after_terminate,
)
