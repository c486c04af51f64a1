"""A forwarder in front of a PostgreSQL, which a test can stop, start again, or let fall silent."""

import asyncio
import contextlib

from protos.runtime.guest import call_host
from tests.support.cluster import Origin


class Forwarder:
    """Runs on the host's loop; its methods are for trio."""

    def __init__(self, origin: Origin) -> None:
        self.port = 0
        self.accepted = 0
        """Connections taken so far."""
        self.heard = bytearray()
        """All that was sent to PostgreSQL since the test cleared it."""
        self._passes = asyncio.Event()
        self._passes.set()
        self._origin = origin
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await call_host(asyncio.start_server(self._serve, self._origin.host, self.port))
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Break every connection and take no more, as a server that crashes."""
        if self._server is not None:
            self._server.close()
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()

    def hold(self) -> None:
        """Pass nothing on, in either direction, until `release`."""
        self._passes.clear()

    def release(self) -> None:
        self._passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        there, back = await asyncio.open_connection(self._origin.host, self._origin.port)
        self._writers += [writer, back]
        for source, sink, heard in ((reader, back, self.heard), (there, writer, bytearray())):
            task = asyncio.ensure_future(self._pass(source, sink, heard))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, heard: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                heard += data
                await self._passes.wait()
                sink.write(data)
                await sink.drain()
        sink.close()
