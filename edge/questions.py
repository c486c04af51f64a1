"""What an edge has asked a pool node about its origin: under which values does it report these settings?"""

from collections.abc import Callable, Iterable

from protos.link.link_pb2 import Resolve, Resolved
from protos.link.settings import to_wire

Callback = Callable[[Resolved | None], None]


class Questions:
    """Of one link; those that are not answered yet."""

    def __init__(self) -> None:
        self._open: dict[int, Callback] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, configuration: str, settings: Iterable[tuple[str, str]], callback: Callback) -> Resolve:
        """What to send; callback hears the answer, or None if the link is lost before."""
        number, self._next = self._next, self._next + 1
        self._open[number] = callback
        return Resolve(id=number, configuration=configuration, settings=to_wire(settings))

    def answered(self, resolved: Resolved) -> None:
        callback = self._open.pop(resolved.id, None)
        if callback is not None:
            callback(resolved)

    def lost(self) -> None:
        """The link is gone."""
        callbacks, self._open = self._open, {}
        for callback in callbacks.values():
            callback(None)
