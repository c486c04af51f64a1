"""A link's way from an edge to a pool node: it takes its time, and can be cut, or fall silent in either direction."""

import asyncio
from collections.abc import Callable
from typing import Final

import attrs

HOST: Final = "127.0.0.1"
MAX_READ_BYTES: Final = 1 << 16
QUIET_S: Final = 5.0


@attrs.define(eq=False)
class Way:
    """One direction of one connection: bytes come out in order, `delay_s` after they came in."""

    relay: "Relay"
    is_to_edge: bool
    write: Callable[[bytes], None]
    close: Callable[[], None]
    _held: list[bytes] = attrs.field(factory=list)

    def take(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self.relay.delay_s, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        self._held.append(data)
        self.release()

    def release(self) -> None:
        """Hand on what has arrived, unless this direction is silent."""
        if self.relay.is_silent(is_to_edge=self.is_to_edge):
            return
        held, self._held = self._held, []
        for data in held:
            if data:
                self.write(data)
            else:
                self.close()


class Relay:
    """Listens for one edge's links to one pool node."""

    def __init__(self, port: int, delay_s: float) -> None:
        self.delay_s = delay_s
        self.port = 0
        self._there = port
        self._silent: set[bool] = set()
        self._is_cut = False
        self._ways: list[Way] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def is_silent(self, *, is_to_edge: bool) -> bool:
        return is_to_edge in self._silent

    def silence(self, *, to_edge: bool, to_pool: bool) -> None:
        """Hand nothing on in these directions, and lose nothing."""
        self._silent = {direction for direction, chosen in ((True, to_edge), (False, to_pool)) if chosen}

    def speak(self) -> None:
        """Hand on everything again."""
        self._silent.clear()
        for way in self._ways:
            way.release()

    def cut(self) -> None:
        """Break every connection, with what is under way, and take no more."""
        self._is_cut = True
        writers, self._writers = self._writers, set()
        self._ways.clear()
        for writer in writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._is_cut = False

    async def close(self) -> None:
        """For good."""
        self.cut()
        if self._server is not None:
            self._server.close()
        await asyncio.wait_for(self._quiet.wait(), QUIET_S)
        await asyncio.sleep(0)  # a transport that was aborted closes its socket in the next turn

    async def _serve(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self._serving += 1
        self._quiet.clear()
        try:
            await self._relay(near_reader, near)
        finally:
            self._serving -= 1
            if not self._serving:
                self._quiet.set()

    async def _relay(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._is_cut:
            near.transport.abort()
            return
        try:
            far_reader, far = await asyncio.open_connection(HOST, self._there)
        except OSError:  # the pool node is not there
            near.transport.abort()
            return
        if self._is_cut:  # meanwhile
            near.transport.abort()
            far.transport.abort()
            return
        self._writers |= {near, far}
        out, back = (
            Way(self, is_to_edge, writer.write, writer.transport.close)
            for is_to_edge, writer in ((False, far), (True, near))
        )
        self._ways += [out, back]
        await asyncio.gather(self._carry(near_reader, out), self._carry(far_reader, back))
        await asyncio.sleep(self.delay_s)  # until what was said last has arrived
        self._ways = [way for way in self._ways if way not in {out, back}]
        self._writers -= {near, far}
        for writer in (near, far):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, way: Way) -> None:
        data = b"-"
        while data:
            try:
                data = await reader.read(MAX_READ_BYTES)
            except OSError:
                data = b""
            way.take(data)
