"""What has come of each query of a session: counted for its configuration, and told to a client that wants to know.

A query that crosses is counted when the pool node has judged it, or at once where it is not asked about.
"""

from typing import TYPE_CHECKING, Final

from edge.cache.switch import Switches
from protos.pg.messages import notice_response
from protos.pg.tags import TransactionStatus

if TYPE_CHECKING:
    from edge.cache.answers import Answer, Answers

SLOW: Final = "slow client"
OTHERS_SLOW: Final = "slow client: others"
NOT_SHARED: Final = "not shared"


class Tally:
    """Of one session."""

    __slots__ = ("_answers", "is_counted", "is_renewal", "is_slow", "switches", "to_client")

    def __init__(self, answers: "Answers", switches: Switches) -> None:
        self._answers = answers
        self.switches = switches
        self.to_client = b""
        """What the client is told of its query."""
        self.is_counted = False
        """The request that crosses next."""
        self.is_slow = False
        """What crosses next is a read that does so because its client does not take what it gets."""
        self.is_renewal = False
        """Nobody has asked the query: it renews an answer."""

    def take_words(self) -> bytes:
        """What the client is told of its query, in front of the answer."""
        words, self.to_client = self.to_client, b""
        return words

    def served(self, answer: "Answer", *, is_stale: bool) -> None:
        """It was answered from the cache, which is counted there."""
        self._report("stale" if is_stale else "hit", age_s=self._answers.clock() - answer.sent_at)

    def missed(self) -> None:
        """It is asked for, and its answer may be kept."""
        if self.is_renewal:
            self._answers.renewals += 1
            return
        self._answers.misses += 1
        self._report("miss")

    def uncacheable(self, why: str) -> None:
        """Its answer is not kept; why: a class of reasons, perhaps with a detail behind a colon."""
        if self.is_renewal:
            self._answers.renewals += 1
        elif why == "bypassed":  # its first comment says so
            self._answers.bypassed += 1
            self._report(why)
        else:
            self._answers.uncacheable[why.partition(":")[0]] += 1
            self._report(f"uncacheable ({why})")

    def crossed(self, status: int, *, is_alone: bool) -> None:
        """A query has crossed."""
        is_slow, self.is_slow = self.is_slow, False
        if self.is_counted:
            self.is_counted = False
            return
        answers = self._answers
        if not answers.is_on:
            answers.disabled += 1
            why = "disabled"
        elif self.switches.is_off:
            answers.bypassed += 1
            why = "bypassed"
        elif status != TransactionStatus.IDLE:
            answers.transaction += 1
            why = "transaction"
        else:
            why = SLOW if is_slow else "not a read" if is_alone else "not alone"
            answers.uncacheable[why] += 1
            why = f"uncacheable ({why})"
        if is_alone:
            self._report(why)

    def _report(self, what: str, age_s: float | None = None) -> None:
        if self.switches.reports:
            fields = {"S": "NOTICE", "V": "NOTICE", "C": "00000", "M": f"onetrip cache: {what}"}
            if age_s is not None:
                fields["D"] = f"The answer is {age_s:.1f} s old."
            self.to_client += notice_response(fields)
