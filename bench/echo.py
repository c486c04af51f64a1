"""An echo of recorded bytes: the least that a process of its own can do to answer a query.

`record` listens in on a client's queries through a relay and keeps what came back for each kind of request. `python -m
bench.echo` is the server: it answers every request with what was recorded for its kind, whatever it asks, and knows no
more of the protocol than that. What a client measures against it is what the client itself, the kernel and a process
that waits in epoll cost, so what a cache takes beyond that is the cache's own.
"""

import json
import select
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

import attrs

from bench.endpoint import Endpoint
from protos.pg.messages import authentication_ok, backend_key_data, parameter_status, ready_for_query

HOST: Final = "127.0.0.1"
MAX_READ_BYTES: Final = 1 << 16
IDLE: Final = ord("I")
# A request is known by its first byte: Query; Parse, as libpq prepares; Bind, as it executes what is prepared.
KINDS: Final = (b"Q", b"P", b"B")
GREETING: Final = b"".join(
    [
        authentication_ok(),
        parameter_status("server_version", "15.0"),
        parameter_status("client_encoding", "UTF8"),
        parameter_status("standard_conforming_strings", "on"),
        backend_key_data(1, b"echo"),
        ready_for_query(IDLE),
    ]
)

Answers = dict[bytes, bytes]


def record(endpoint: Endpoint, ask: Callable[[Endpoint], None]) -> Answers:
    """Let somebody ask one query of each kind through a relay; what came back, by kind."""
    answers: Answers = {}
    with socket.create_server((HOST, 0)) as listener:
        relay = threading.Thread(target=_relay, args=(listener, endpoint, answers), daemon=True)
        relay.start()
        port: int = listener.getsockname()[1]
        ask(attrs.evolve(endpoint, host=HOST, port=port))
        relay.join()
    return answers


def _relay(listener: socket.socket, endpoint: Endpoint, answers: Answers) -> None:
    """One connection, to its end."""
    near, _ = listener.accept()
    kind = b""
    with near, socket.create_connection((endpoint.host, endpoint.port)) as far:
        while True:
            ready, _, _ = select.select([near, far], [], [])
            source, target = (near, far) if near in ready else (far, near)
            data = source.recv(MAX_READ_BYTES)
            if not data:
                return
            if source is near:
                kind = data[:1]
                answers.pop(kind, None)
            elif kind in KINDS:
                answers[kind] = answers.get(kind, b"") + data
            target.sendall(data)


class Echo:
    """The server."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._listener = socket.create_server((HOST, 0))
        self._clients: dict[int, socket.socket] = {}
        self._poller = select.epoll()
        self._poller.register(self._listener, select.EPOLLIN)
        self.port: int = self._listener.getsockname()[1]

    def run(self) -> None:
        """Serve until this process ends."""
        listener, clients = self._listener.fileno(), self._clients
        while True:
            for descriptor, _ in self._poller.poll():
                if descriptor == listener:
                    self._accept()
                else:
                    self._serve(clients[descriptor])

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients[client.fileno()] = client
        self._poller.register(client, select.EPOLLIN)

    def _serve(self, client: socket.socket) -> None:
        data = client.recv(MAX_READ_BYTES)
        answer = self._answers.get(data[:1])
        if answer is not None:
            client.send(answer)
        elif data[:1] == b"\0":  # the length of a startup packet
            client.sendall(GREETING)
        else:
            self._poller.unregister(client)
            del self._clients[client.fileno()]
            client.close()


def main() -> None:
    """Read what was recorded, say where we listen, and serve."""
    recorded: dict[str, str] = json.loads(sys.stdin.readline())
    echo = Echo({kind.encode(): bytes.fromhex(answer) for kind, answer in recorded.items()})
    print(json.dumps({"port": echo.port}), flush=True)
    echo.run()


if __name__ == "__main__":
    main()
