"""Pass the messages of a lease's client on to the origin, in order: each as it is, or what stands for it, or later.

Most are only counted. Those that may leave something behind, or need a statement, are looked at (`scrutiny`); one whose
statement has to be verified first makes all that come behind it wait (`verifying`).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from protos.pg.framer import Piece
from protos.pg.pipeline import Pipeline

if TYPE_CHECKING:
    from regional.scrutiny import Scrutiny

Texts = Mapping[bytes, bytes]
"""The Parse messages that the client's messages refer to, by shared name."""


def forward(scrutiny: "Scrutiny", pieces: Iterable[Piece], texts: Texts, pipeline: Pipeline, out: list[bytes]) -> None:
    """Put into out what goes to the origin now: for these messages, or for those that waited."""
    verifying = scrutiny.verifying
    if not verifying.is_holding:
        _send(scrutiny, iter(pieces), texts, pipeline, out)
    else:
        verifying.hold(pieces)
        _go_on(scrutiny, texts, pipeline, out)


def _send(scrutiny: "Scrutiny", pieces: Iterator[Piece], texts: Texts, pipeline: Pipeline, out: list[bytes]) -> None:
    look = scrutiny.look
    for piece in pieces:
        tag = piece.tag
        if tag in scrutiny.looked_at:
            instead = look(piece, texts, pipeline, out)
            if instead is None:
                if scrutiny.verifying.is_holding:
                    scrutiny.verifying.hold(pieces)
                    _go_on(scrutiny, texts, pipeline, out)
                continue
            piece = instead  # noqa: PLW2901 - what goes out in its place
        if tag:
            pipeline.sent(tag)
        out.append(piece.data)


def _go_on(scrutiny: "Scrutiny", texts: Texts, pipeline: Pipeline, out: list[bytes]) -> None:
    """Send what waited until a statement was verified, if it is. The first was looked at before."""
    released = iter(scrutiny.verifying.go_on(pipeline, out))
    for first in released:
        pipeline.sent(first.tag)
        out.append(first.data)
        _send(scrutiny, released, texts, pipeline, out)
