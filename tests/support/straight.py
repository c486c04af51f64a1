"""A connection to a real PostgreSQL with nothing in between: what it says to the same messages."""

import socket
from typing import Final

from protos.pg.framer import BACKEND_LIMITS, Framer
from protos.pg.login import LoggedIn, Login, LoginTarget, Send
from protos.pg.scram import KeyCache
from protos.pg.tags import Backend
from tests.support.beside import Answer, Message
from tests.support.cluster import DATABASE, PASSWORD, Origin

LIMIT_S: Final = 10.0
_keys: Final = KeyCache()


class Straight:
    """One session. It waits in its own thread, so nothing else of the test goes on meanwhile."""

    def __init__(self, origin: Origin) -> None:
        self._framer = Framer(BACKEND_LIMITS, frozenset(BACKEND_LIMITS), max_whole_bytes=1 << 30)
        self._socket = socket.create_connection(("127.0.0.1", origin.port), timeout=LIMIT_S)
        target = LoginTarget(
            user="by_scram", password=PASSWORD, database=DATABASE, parameters={}, sslmode="disable", may_send_plain=True
        )
        login = Login(target, nonce=lambda: b"straight" * 3, keys=_keys)
        self._socket.sendall(login.start())
        while True:
            for event in login.receive(self._socket.recv(1 << 16)):
                if isinstance(event, LoggedIn):
                    return
                assert isinstance(event, Send)
                self._socket.sendall(event.data)

    def ask(self, *messages: bytes, sync_points: int = 1) -> Answer:
        """Send, and wait for as many ReadyForQuery."""
        self._socket.sendall(b"".join(messages))
        came: list[Message] = []
        while sum(message.tag == Backend.READY_FOR_QUERY for message in came) < sync_points:
            data = self._socket.recv(1 << 18)
            assert data, "PostgreSQL has closed the connection"
            came += [Message(piece.tag, piece.data) for piece in self._framer.feed(data)]
        return Answer(came)

    def leave(self) -> None:
        self._socket.close()
