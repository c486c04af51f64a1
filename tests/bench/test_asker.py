"""Many clients in one loop: rows, refusals, and the end of a connection are told apart."""

import asyncio

import pytest

from bench.asker import LostError, RefusedError, connect
from tests.support.cluster import Origin


def conninfo_of(origin: Origin) -> str:
    words = f"host={origin.host} port={origin.port} user={origin.superuser} dbname={origin.database}"
    quoted = origin.password.replace("\\", "\\\\").replace("'", "\\'")
    return f"{words} password='{quoted}'"


@pytest.mark.postgres
def test_clients_ask_side_by_side(origin: Origin) -> None:
    async def main() -> None:
        slow, quick = await connect(conninfo_of(origin)), await connect(conninfo_of(origin))
        waiting = asyncio.ensure_future(slow.ask(b"select 1 from pg_sleep(0.3)"))
        assert await quick.ask(b"select 2; select 3, null") == [(b"3", None)]
        assert await quick.ask_extended(b"select $1::int + 1", [b"4"]) == [(b"5",)]
        assert not waiting.done()
        assert await waiting == [(b"1",)]
        slow.close()
        quick.close()

    asyncio.run(main())


@pytest.mark.postgres
def test_a_refusal_leaves_the_connection_and_an_end_does_not(origin: Origin) -> None:
    async def main() -> None:
        asker = await connect(conninfo_of(origin))
        with pytest.raises(RefusedError) as refused:
            await asker.ask(b"select 1/0")
        assert refused.value.sqlstate == "22012"
        assert await asker.ask(b"select 1") == [(b"1",)]
        with pytest.raises(LostError):
            await asker.ask(b"select pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(LostError):
            await asker.ask(b"select 1")
        assert not asker.is_open

    asyncio.run(main())


@pytest.mark.postgres
def test_rows_are_copied_in_parts_by_either_protocol_or_not_at_all(origin: Origin) -> None:
    async def main() -> None:
        asker = await connect(conninfo_of(origin))
        await asker.ask(b"create temporary table copied (n int)")
        for extended in (False, True):
            await asker.copy(b"copy copied from stdin", extended=extended)
            asker.copy_data(b"1\n")
            asker.copy_data(b"2\n")
            await asker.copy_end()
        await asker.copy(b"copy copied from stdin")
        with pytest.raises(RefusedError) as given_up:
            await asker.copy_end(b"no more")
        assert given_up.value.sqlstate == "57014"
        await asker.copy(b"copy copied from stdin")
        asker.copy_data(b"none\n")
        with pytest.raises(RefusedError) as no_row:
            await asker.copy_end()
        assert no_row.value.sqlstate == "22P02"
        assert await asker.ask(b"select count(*), sum(n) from copied") == [(b"4", b"6")]
        asker.close()

    asyncio.run(main())


@pytest.mark.postgres
def test_the_notices_of_the_last_answer_are_kept(origin: Origin) -> None:
    async def main() -> None:
        asker = await connect(conninfo_of(origin))
        await asker.ask(b"do $$ begin raise notice 'one'; raise notice 'two'; end $$")
        assert asker.notices == ["one", "two"]
        await asker.ask(b"select 1")
        assert asker.notices == []
        asker.close()

    asyncio.run(main())


def test_a_server_that_is_not_there_is_a_lost_connection() -> None:
    with pytest.raises(LostError):
        asyncio.run(connect("host=127.0.0.1 port=1 connect_timeout=2"))
