"""An answer on its way from the origin to its client: what is left out, what is added, and what edges hear first.

Of what comes in one piece from the network all is looked at before any of it is handed on. So what edges must know
before the client reads its answer (what it has written, what DDL has made wrong) goes out ahead of it.
"""

from typing import TYPE_CHECKING

from protos.link.settings import KEEP, SETTLING, UNCERTAIN
from protos.pg.framer import Piece
from protos.pg.names import PREFIX
from protos.pg.tags import Backend, TransactionStatus
from regional.cache.verdicts import Writing

if TYPE_CHECKING:
    from regional.channel import Channel
    from regional.origin import Origin


def relay(origin: "Origin", channel: "Channel", pieces: list[Piece]) -> list[Piece]:
    """Hand on what the origin says; what came behind the end of the lease is returned."""
    pipeline, watching, verifying = origin.pipeline, origin.watching, origin.scrutiny.verifying
    settled = settled_before = pipeline.settled
    out: list[bytes] = []
    after: list[Piece] = []
    for index, piece in enumerate(pieces):
        tag, begins, status = piece.tag, pipeline.settled, pipeline.status
        if tag != Backend.READY_FOR_QUERY:
            if watching.listens:
                watching.heard(piece)
            piece = origin.scrutiny.heard(piece, pipeline)  # noqa: PLW2901 - what the client gets in its place
        received = pipeline.received(piece)
        if tag == Backend.ERROR_RESPONSE and PREFIX in received and piece.whole:
            before, error, behind = received.partition(piece.data)
            _answer(origin, channel, [*out, before], pipeline.settled - settled)
            channel.choices.word(error, pipeline.progress, channel.say)
            settled, out = pipeline.settled, [behind]
        else:
            out.append(received)
        if tag == Backend.READY_FOR_QUERY:
            watching.ledger.ready(pipeline.settled, status, pipeline.status)
            origin.prepared.settled(pipeline.settled)
            at = channel.choices.settled - settled
            channel.choices.tell(at + begins, at + pipeline.settled, pipeline.progress, channel.say)
            if pipeline.is_idle and not verifying.is_holding:
                after = pieces[index + 1 :]
                break
    origin.has_moved(settles=pipeline.settled != settled_before)
    if pipeline.wants_fence and not channel.has_left:
        origin.fence()
    is_over = pipeline.is_idle and not (
        origin.connection.is_closed or channel.is_inside_request or verifying.is_holding
    )
    settles = is_over and origin.conclude(out)
    _answer(origin, channel, out, pipeline.settled - settled, settles=settles)
    if is_over:  # else with the rest of that message: a COPY has failed, and its client goes on sending
        origin.lease_is_over(channel, settles=settles)
    elif origin.channel is channel and (verifying.is_holding or channel.is_waiting):
        channel.go_on(origin)
    return after


def _answer(origin: "Origin", channel: "Channel", out: list[bytes], settled: int, *, settles: bool = False) -> None:
    has_told_meaning = origin.watching.listens and publish(origin, origin.watching.take_due())
    status = _status(origin, settled, settles=settles, tells_meaning=not has_told_meaning) if settled else 0
    channel.answer(b"".join(out), settled, status, last=origin.pipeline.is_idle)


def _status(origin: "Origin", settled: int, *, settles: bool, tells_meaning: bool) -> int:
    """What the edge hears with a ReadyForQuery, which nobody has heard of yet."""
    scrutiny, status = origin.scrutiny, origin.pipeline.status
    if status == TransactionStatus.IDLE and origin.unseen.is_open:
        origin.unseen.told()
    early = origin.tenant.configuration.early
    flags = scrutiny.facts.flags(status, settings=early.settings, catalog=early.catalog)
    scrutiny.facts.begin()
    if origin.watching.question is not None and origin.watching.keeps(
        settled, origin.pipeline, is_clean=not (scrutiny.residue or settles or origin.tenant.knowledge.doubts.told)
    ):
        flags |= KEEP
    if status != TransactionStatus.IDLE:
        is_uncertain = origin.kept or scrutiny.is_uncertain
        return status | UNCERTAIN if is_uncertain else status | flags
    if tells_meaning and origin.residue and origin.residue.makes_catalog_stale:
        origin.tenant.knowledge.ddl_seen()
    return status | flags | SETTLING if settles else status | flags


def publish(origin: "Origin", due: Writing | None) -> bool:
    """Tell every edge what no longer holds; whether that was the meaning of statements, and so all answers."""
    if due is None:
        return False
    if due.everything and origin.residue.makes_catalog_stale:
        origin.tenant.knowledge.ddl_seen()
        return True
    origin.tenant.publishing.publish(due)
    return False
