"""One direction of a long link: a bottleneck with a FIFO queue in front, then a pipe of fixed delay.

Theory of operation: a packet that arrives starts to leave when the bottleneck has finished with those before it, takes
its size divided by the rate to leave, and arrives at the far end a fixed time later. Both times follow from one number,
`_free_at`, the moment when the bottleneck will be idle. The bytes still queued are therefore (`_free_at` - now) x rate,
and a packet that would find more than the queue's depth is dropped, as a router drops at the tail. Arrival times never
decrease, so a deque is all the ordering needed. The clock is a parameter; all times are nanoseconds in integers.
"""

from collections import deque
from typing import Final

NS_PER_S: Final = 1_000_000_000


class DelayLine:
    """Packets in, packets out when they are due."""

    __slots__ = ("_delay_ns", "_depth_ns", "_free_at", "_ns_per_byte", "_pipe", "bytes_in", "dropped", "packets_in")

    def __init__(self, delay_s: float, rate_bytes_per_s: float, depth_bytes: int) -> None:
        self._delay_ns = round(delay_s * NS_PER_S)
        self._ns_per_byte = NS_PER_S / rate_bytes_per_s
        self._depth_ns = round(depth_bytes * self._ns_per_byte)
        self._free_at = 0
        self._pipe: deque[tuple[int, bytes]] = deque()
        self.packets_in = 0
        self.bytes_in = 0
        self.dropped = 0

    def offer(self, packet: bytes, now: int) -> None:
        """Take a packet that arrived now; drop it when the queue is full."""
        begins = self._free_at if self._free_at > now else now
        if begins - now > self._depth_ns:
            self.dropped += 1
            return
        size = len(packet)
        self._free_at = begins + round(size * self._ns_per_byte)
        self._pipe.append((self._free_at + self._delay_ns, packet))
        self.packets_in += 1
        self.bytes_in += size

    def due(self, now: int) -> list[bytes]:
        """The packets that have arrived at the far end by now, oldest first."""
        pipe = self._pipe
        packets = []
        while pipe and pipe[0][0] <= now:
            packets.append(pipe.popleft()[1])
        return packets

    @property
    def next_due(self) -> int | None:
        """When the next packet arrives, None for an empty pipe."""
        return self._pipe[0][0] if self._pipe else None
