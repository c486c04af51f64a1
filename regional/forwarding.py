"""A client's messages on their way to the origin: looked at one by one, and held while a statement is verified.

What comes behind a message that is held is held too, so the order stays what it was. Every time the origin has
answered something, `forward` is called with nothing, for it may be time to go on.
"""

from collections.abc import Iterable, Iterator, Mapping

from protos.pg.framer import Piece
from protos.pg.pipeline import Pipeline
from regional.scrutiny import Scrutiny


class Forwarding:
    """Of one origin connection."""

    __slots__ = ("_scrutiny",)

    def __init__(self, scrutiny: Scrutiny) -> None:
        self._scrutiny = scrutiny

    def forward(
        self, pieces: Iterable[Piece], texts: Mapping[bytes, bytes], pipeline: Pipeline, out: list[bytes]
    ) -> None:
        """Put into out what goes to the origin for these messages, or for those that wait.

        texts are the Parse messages that the client's messages refer to, by shared name.
        """
        verifying = self._scrutiny.verifying
        if not verifying.is_holding:
            self._send(iter(pieces), texts, pipeline, out)
        else:
            verifying.hold(pieces)
            self._go_on(texts, pipeline, out)

    def _send(
        self, pieces: Iterator[Piece], texts: Mapping[bytes, bytes], pipeline: Pipeline, out: list[bytes]
    ) -> None:
        scrutiny = self._scrutiny
        for piece in pieces:
            tag = piece.tag
            if tag in scrutiny.looked_at:
                instead = scrutiny.look(piece, texts, pipeline, out)
                if instead is None:
                    if scrutiny.verifying.is_holding:
                        scrutiny.verifying.hold(pieces)
                        self._go_on(texts, pipeline, out)
                    continue
                piece = instead  # noqa: PLW2901 - what goes out in its place
            if tag:
                pipeline.sent(tag)
            out.append(piece.data)

    def _go_on(self, texts: Mapping[bytes, bytes], pipeline: Pipeline, out: list[bytes]) -> None:
        """Send what was held until a statement was verified, if it is."""
        released = iter(self._scrutiny.verifying.go_on(pipeline, out))
        for first in released:
            pipeline.sent(first.tag)
            out.append(first.data)
            self._send(released, texts, pipeline, out)
