"""A client's messages on their way to the origin: looked at one by one, and held while a statement is verified.

What comes behind a message that is held is held too, so the order stays what it was. Every time the origin has
answered something, `forward` is called with nothing, for it may be time to go on.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from protos.pg.framer import Piece

if TYPE_CHECKING:
    from regional.origin import Origin


def forward(origin: "Origin", pieces: Iterable[Piece], texts: Mapping[bytes, bytes], out: list[bytes]) -> None:
    """Put into out what goes to the origin for these messages, or for those that wait.

    texts are the Parse messages that the client's messages refer to, by shared name.
    """
    verifying = origin.scrutiny.verifying
    if not verifying.is_holding:
        _send(origin, iter(pieces), texts, out)
    else:
        verifying.hold(pieces)
        _go_on(origin, texts, out)


def _send(origin: "Origin", pieces: Iterator[Piece], texts: Mapping[bytes, bytes], out: list[bytes]) -> None:
    scrutiny, watching, pipeline, plans = origin.scrutiny, origin.watching, origin.pipeline, origin.plans
    for piece in pieces:
        tag = piece.tag
        if plans.is_at_risk:
            plans.look(piece, texts, pipeline, out, is_utf8=scrutiny.is_utf8)
        if tag in scrutiny.looked_at:
            if watching.is_on:
                watching.look(piece, texts, pipeline)
            instead = scrutiny.look(piece, texts, pipeline, out)
            if instead is None:
                if scrutiny.verifying.is_holding:
                    scrutiny.verifying.hold(pieces)
                    _go_on(origin, texts, out)
                continue
            piece = instead  # noqa: PLW2901 - what goes out in its place
        if tag:
            pipeline.sent(tag)
        out.append(piece.data)


def _go_on(origin: "Origin", texts: Mapping[bytes, bytes], out: list[bytes]) -> None:
    """Send what was held until a statement was verified, if it is."""
    released = iter(origin.scrutiny.verifying.go_on(origin.pipeline, out))
    for first in released:
        origin.pipeline.sent(first.tag)
        out.append(first.data)
        _send(origin, released, texts, out)
