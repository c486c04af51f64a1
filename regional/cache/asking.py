"""A channel's question, asked and answered: may the answer to the request that follows be kept? (`question.py`)

The answer goes out in order on the channel, ahead of the first byte that the origin says to the request. A channel that
is closed before has no answer, for its edge keeps nothing of it then.
"""

from typing import TYPE_CHECKING

from protos.link.link_pb2 import Frame
from regional.cache.question import Circumstances, Question

if TYPE_CHECKING:
    from regional.channel import Channel
    from regional.origin import Origin

# Versions of PostgreSQL that do not report in_hot_standby; these lead to no standby all the same.
_PRIMARY_ONLY = frozenset({"primary", "read-write"})


def ask(channel: "Channel") -> None:
    """The edge asks about the channel's next request."""
    if channel.question is not None:
        answer(channel, channel.origin)  # an edge that asks twice is told twice
    question = channel.question = Question()
    origin = channel.origin
    is_busy = origin is not None and (origin.pipeline.owed or origin.pipeline.has_unsynced or origin.is_verifying)
    if channel.is_inside_request or is_busy:
        question.is_not_whole("several statements")


def take_up(channel: "Channel", origin: "Origin") -> None:
    """The request is about to go to the origin, or more of it."""
    question = channel.question
    if question is not None and question is not origin.watching.question:
        question.opening = channel.opening
        question.meets_settings = origin.scrutiny.residue.resets_settings
        origin.watching.question = question
        origin.watching.listens = True


def answer(channel: "Channel", origin: "Origin | None") -> None:
    """Say what is known now."""
    question, channel.question = channel.question, None
    assert question is not None
    tenant = channel.tenant
    met = Circumstances(
        caching=tenant.configuration.caching,
        classifier=tenant.knowledge.cache.classifier,
        is_utf8=origin is not None and origin.scrutiny.is_utf8,
        why_not="incomplete" if origin is None else _why_not(channel, origin, question),
        leaves_something=origin is not None and bool(origin.scrutiny.residue),
        in_doubt=tenant.publishing.in_doubt,
        follows=tenant.publishing.follows,
    )
    channel.say(Frame(verdict=question.verdict(met, tenant.knowledge.cache.generation)))


def _why_not(channel: "Channel", origin: "Origin", question: Question) -> str:
    """Why no answer that comes by this connection to this session may be kept now."""
    scrutiny = origin.scrutiny
    if origin.kept:
        return "pinned"
    if scrutiny.has_own_settings or question.meets_settings:
        return "session settings"
    if question.opening is not None and "default_transaction_isolation" in channel.profile.settings:
        return "transaction"
    if not origin.watching.is_on:
        return "disabled"
    return "standby" if _may_be_standby(origin) else ""


def _may_be_standby(origin: "Origin") -> bool:
    if origin.scrutiny.was_read_only:
        return True
    reports = "in_hot_standby" in origin.parameters
    return not reports and origin.tenant.configuration.origin.target_session_attrs not in _PRIMARY_ONLY
