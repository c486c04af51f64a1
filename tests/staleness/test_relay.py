"""What a link's relay does to the bytes of the link."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.staleness.relay import HOST, Relay

DELAY_S = 0.03


@asynccontextmanager
async def echoed() -> AsyncIterator[tuple[Relay, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that talks to an echo through a relay."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.transport.abort()

    server = await asyncio.start_server(echo, HOST, 0)
    relay = Relay(server.sockets[0].getsockname()[1], DELAY_S)
    await relay.start()
    reader, writer = await asyncio.open_connection(HOST, relay.port)
    try:
        yield relay, reader, writer
    finally:
        writer.close()
        await relay.close()
        server.close()
        await asyncio.sleep(DELAY_S)  # the echo sees the end of its connection


def test_a_round_trip_takes_the_delay_twice() -> None:
    async def main() -> None:
        async with echoed() as (_, reader, writer):
            begun = time.monotonic()
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            assert time.monotonic() - begun >= 2 * DELAY_S

    asyncio.run(main())


def test_what_was_said_in_silence_comes_after_it_in_order() -> None:
    async def main() -> None:
        async with echoed() as (relay, reader, writer):
            relay.silence(to_edge=True, to_pool=False)
            writer.write(b"one")
            await asyncio.sleep(4 * DELAY_S)
            writer.write(b"two")
            done, _ = await asyncio.wait([waiting := asyncio.ensure_future(reader.readexactly(6))], timeout=4 * DELAY_S)
            assert not done
            relay.speak()
            assert await waiting == b"onetwo"

    asyncio.run(main())


def test_a_cut_breaks_and_takes_nobody_until_it_is_mended() -> None:
    async def refused(relay: Relay) -> bool:
        reader, writer = await asyncio.open_connection(HOST, relay.port)
        try:
            return not await reader.read(1)
        except ConnectionError:
            return True
        finally:
            writer.close()

    async def main() -> None:
        async with echoed() as (relay, reader, _):
            relay.cut()
            with suppress(ConnectionError):
                assert not await reader.read(1)
            assert await refused(relay)
            relay.mend()
            again, writer = await asyncio.open_connection(HOST, relay.port)
            writer.write(b"x")
            assert await again.readexactly(1) == b"x"
            writer.close()

    asyncio.run(main())
