"""`python -m bench.turns`: a relay that stands where the long link is and counts crossings by what passes, not by time.

Theory of operation: a crossing is a turn of the conversation. Whatever goes to the database's side makes an answer
owed; the first thing that comes back then is one crossing, and what follows it is part of the same answer until
something goes out again. So a burst of messages and all of its answer count once, as on a long link; what nobody
answers (a client's farewell) counts nothing. For that the relay must be a long link in one respect: it holds everything
back for a while each way, so a burst has left before its answer comes. The number does not depend on how long.

`tcp` is for connections to PostgreSQL itself: opening one is a crossing of its own, and TLS and SCRAM are turns of
bytes like any other. `grpc` is for the link between an edge node and a pool node (without TLS, in whose place
it stands): it passes gRPC messages on and counts only those that carry something of a session. The first line printed
has the port; each JSON request on standard input, `{"delay_s": …}`, is answered by `{"crossings": …}` since the one
before.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import click
import grpc
from grpc import aio

from protos.link.link_pb2 import Batch
from protos.link.mux import UPKEEP
from protos.runtime.link_stream import CHANNEL_OPTIONS, Call

HOST: Final = "127.0.0.1"
METHOD: Final = "/onetrip.link.v1.Link/Connect"
MAX_READ_BYTES: Final = 1 << 16
MAX_SHOWN: Final = 400
# The edge says these and waits for nothing: a client has left; a session's new settings have arrived.
UNANSWERED: Final = frozenset({"close", "state"})
# The pool node says what a session has set behind the answer, not as one.
NO_ANSWER: Final = frozenset({"state"})


class Turns:
    """The count."""

    def __init__(self, on_crossing: Callable[[list[bytes]], None] = lambda _: None) -> None:
        self.crossings = 0
        self._on_crossing = on_crossing
        self._owed: list[bytes] = []

    def sent(self, data: bytes) -> None:
        """Something has gone out that will be answered."""
        self._owed.append(data)

    def answered(self) -> None:
        """Something comes back."""
        if self._owed:
            self.crossings += 1
            self._on_crossing(self._owed)
            self._owed = []

    def taken(self) -> int:
        """The crossings since this was last asked. Nobody waits now, so what is still owed is not a crossing."""
        taken, self.crossings, self._owed = self.crossings, 0, []
        return taken


Read = Callable[[], Awaitable[bytes]]
Write = Callable[[bytes], Awaitable[None]]


class Relay:
    """What both kinds have: the count, and the time that everything is held back each way."""

    def __init__(self, host: str, port: int, turns: Turns) -> None:
        self.host = host
        self.port = port
        self.turns = turns
        self.delay_s = 0.0

    async def carry(self, read: Read, write: Write) -> None:
        """Hand on what comes from one side to the other, in order and later, until nothing more comes."""
        loop = asyncio.get_running_loop()
        pipe: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def take() -> None:
            data = b"-"
            while data:
                data = await read()
                pipe.put_nowait((loop.time() + self.delay_s, data))

        taking = asyncio.ensure_future(take())
        try:
            while True:
                due, data = await pipe.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    return
                await write(data)
        finally:
            taking.cancel()

    async def carry_both(self, out: tuple[Read, Write], back: tuple[Read, Write]) -> None:
        """Both directions, until one of them ends; what comes back to who has gone is not handed on."""
        ways = [asyncio.ensure_future(self.carry(*way)) for way in (out, back)]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


class TcpRelay(Relay):
    """Connections to a port of this machine."""

    async def listen(self) -> int:
        """Listen; the port."""
        server = self._server = await asyncio.start_server(self._serve, HOST, 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        self.turns.sent(b"")
        self.turns.answered()

        async def read() -> bytes:
            data = await _read(reader)
            if data:
                self.turns.sent(data)
            return data

        async def write_back(data: bytes) -> None:
            self.turns.answered()
            writer.write(data)

        async def write(data: bytes) -> None:
            far_writer.write(data)

        await self.carry_both((read, write), (partial(_read, far_reader), write_back))
        for end in (writer, far_writer):
            end.close()


class LinkRelay(Relay):
    """The links to a pool node."""

    async def listen(self) -> int:
        """Listen; the port."""
        server = self._server = aio.server(options=CHANNEL_OPTIONS)
        service, _, method = METHOD.strip("/").partition("/")
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._serve)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        port = server.add_insecure_port(f"{HOST}:0")
        await server.start()
        return port

    async def _serve(self, _: object, edge: "aio.ServicerContext[bytes, bytes]") -> None:
        async with aio.insecure_channel(f"{self.host}:{self.port}", options=CHANNEL_OPTIONS) as channel:
            pool: aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(METHOD)()

            async def read() -> bytes:
                message = await _read_message(edge)
                if matters(message, but=UPKEEP | UNANSWERED):
                    self.turns.sent(message)
                return message

            async def write_back(message: bytes) -> None:
                if matters(message, but=UPKEEP | NO_ANSWER):
                    self.turns.answered()
                await edge.write(message)

            try:
                await self.carry_both((read, pool.write), (partial(_read_message, pool), write_back))
            finally:
                pool.cancel()


def matters(message: bytes, *, but: frozenset[str]) -> bool:
    """Whether a message of the link has more than frames of these kinds."""
    return not {frame.WhichOneof("control") or "data" for frame in Batch.FromString(message).frames} <= but


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(MAX_READ_BYTES)
    except OSError:
        return b""


async def _read_message(stream: Call) -> bytes:
    try:
        message = await stream.read()
    except (aio.AioRpcError, asyncio.CancelledError):  # how grpcio says that the other end is gone
        return b""
    return message if isinstance(message, bytes) else b""


async def _answer(relay: TcpRelay | LinkRelay) -> None:
    """Answer requests until their end."""
    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    print(json.dumps({"port": await relay.listen()}), flush=True)
    while line := await requests.readline():
        print(json.dumps({"crossings": relay.turns.taken()}), flush=True)
        relay.delay_s = json.loads(line)["delay_s"]


@click.command()
@click.argument("kind", type=click.Choice(["tcp", "grpc"]))
@click.argument("host")
@click.argument("port", type=int)
@click.option("--trace", is_flag=True, help="Show on standard error what each crossing of a link carries.")
def main(kind: str, host: str, port: int, *, trace: bool) -> None:
    """Relay what comes to HOST:PORT and count the crossings."""
    turns = Turns(show) if trace else Turns()
    asyncio.run(_answer(TcpRelay(host, port, turns) if kind == "tcp" else LinkRelay(host, port, turns)))


def show(messages: list[bytes]) -> None:
    """What goes to the database for a crossing: the kinds of frames, and what can be read of PostgreSQL's messages."""
    words = []
    for frame in (frame for message in messages for frame in Batch.FromString(message).frames):
        text = "".join(chr(byte) if 32 <= byte < 127 else " " for byte in frame.data)
        words.append(" ".join((frame.WhichOneof("control") or text).split()))
    print(f"crossing: {' | '.join(words)}"[:MAX_SHOWN], file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
