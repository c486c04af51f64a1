"""Nodes as processes that are killed and started again where they were."""

import asyncio
from pathlib import Path
from typing import Final

import attrs

from tests.staleness.relay import HOST, Relay
from tests.support.onetrip import NODE_OPTIONS, Workplace
from tests.support.process import Process, free_port

# How long a client waits for a pool node, so that it does not wait long for one that is down.
WAIT_S: Final = "3"
# Of a log.
SHOWN: Final = 2000


@attrs.define
class Node:
    """One that may be down."""

    port: int = attrs.field(factory=free_port, init=False)
    process: Process | None = attrs.field(default=None, init=False)

    async def ready(self) -> None:
        assert self.process is not None
        await asyncio.to_thread(self.process.ready)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process = None


@attrs.define
class PoolNode(Node):
    """One pool node."""

    place: Workplace
    store: str
    key: Path
    admin: int = attrs.field(factory=free_port)

    def start(self) -> None:
        listen = ("--listen", f"{HOST}:{self.port}", "--admin-listen", f"{HOST}:{self.admin}")
        self.process = self.place.start(
            "pool", *listen, "--store", self.store, *NODE_OPTIONS, "--store-key-file", str(self.key)
        )


@attrs.define
class EdgeNode(Node):
    """One edge, with a relay to each pool node."""

    place: Workplace
    relays: list[Relay]

    def start(self) -> None:
        pools = [word for relay in self.relays for word in ("--pool", f"{HOST}:{relay.port}")]
        options = ("--listen", f"{HOST}:{self.port}", "--wait-timeout", WAIT_S, *pools, *NODE_OPTIONS)
        self.process = self.place.start("edge", *options)


def complaint_of(node: Node) -> str:
    """That it has ended by itself, or logged a bug of its own; empty if it is well, or was killed."""
    process = node.process
    if process is None:
        return ""
    log = process.log
    if process.popen.poll() is not None:
        return f"a node at port {node.port} ended by itself (status {process.popen.poll()}): {log[-SHOWN:]}"
    place = log.find("Traceback")
    return f"a node at port {node.port} logged a bug: {log[place - 200 : place + SHOWN]}" if place >= 0 else ""
