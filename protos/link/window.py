"""How many bytes may be under way on a link: about one bandwidth-delay product, found out while sending (rules 17).

Theory of operation. A long link is full when rate x round trip bytes are in flight. With less it idles; whatever is
more waits in some buffer on the way, and a small answer waits behind it. Neither factor is known, so the sender keeps
two estimates, and the window is their product, a tenth and a few milliseconds more, plus what the receiver may leave
unacknowledged, for acknowledgements are lazy:

- *base round trip*: the least measured lately, by pings and by acknowledgements. Any measurement may include a queue,
  so a larger one is believed only if little was in flight: from pings of a quiet link, or from a *drain*, a round trip
  with half a window, every CONFIRM_S of bulk. Without that a queue of our own would count as part of the path, and
  creep. Where the floor (below) forbids half a window, twice as much is tried: a slow link only queues it, a long one
  carries more, and then the base was too short.
- *rate*: judged once a round (the time in which a byte goes out and its acknowledgement comes back), by what the least
  round trip in it says about a queue:

      no queue      the link was not full: its rate is at least what was delivered. The window goes up, twofold while
                    that makes the rate grow by a quarter (this is also how a link starts), else by a quarter.
      a queue       the link was busy all the time: what was delivered *is* its rate, and the estimate moves there.
      a long queue  the rate has fallen, or the path has become longer: believe the rate at once, and look at the base.

  A round in which there was not enough to send can only raise the rate.

The window falls at once but grows only as bytes are acknowledged, and after a pause it starts small: TCP below has
slowed down as well, and what it cannot take yet would wait in front of it. It never falls under the floor, which is
more than a receiver ever leaves unacknowledged: while there is no room an acknowledgement is on its way, and no timer
is needed.
"""

from collections import deque
from math import inf
from typing import Final

from protos.errors import RemoteProtocolError

CHUNK_BYTES: Final = 16 << 10  # the least that bulk is sent in: less room than this is none
BATCH_BYTES: Final = 64 << 10  # the most that bulk adds to one message, which arrives as a whole
ACKNOWLEDGE_BYTES: Final = 64 << 10  # the receiver acknowledges at the latest when it has so much
INITIAL_WINDOW_BYTES: Final = 256 << 10  # before anything is known, and after a pause
MAX_WINDOW_BYTES: Final = 64 << 20  # 1 Gbit/s at 500 ms

HEADROOM: Final = 1.1  # of the base round trip
SLACK_S: Final = 0.004  # a busy process at either end answers so much later
NO_QUEUE: Final = 0.03  # of the base round trip: clearly less than what HEADROOM makes
NO_QUEUE_S: Final = 0.001  # clearly less than what SLACK_S makes
SMOOTHING: Final = 0.25  # weight of one round, since acknowledgements come in bunches
TURN_S: Final = 0.01  # a turn of a busy loop: nothing shorter says anything about the link
PAUSED: Final = 0.25  # a round in which room lay unused for a larger part says nothing about the link
PAUSE_S: Final = 1.0  # without bulk for so long, TCP starts slowly again
CONFIRM_S: Final = 10.0  # how long the base holds without being seen again
RAISE_S: Final = 30.0  # looking with a larger window makes a queue, so it is done less often
RAISED_ROUNDS: Final = 3  # one to send more, one until it arrives, one to see the whole of it
SETTLED_ROUNDS: Final = 2  # the rate to compare with must be that of the window before
LEAST_S: Final = 1e-6  # no round trip is shorter
RECHECK_S: Final = 1.0  # drains because of a long queue are no closer together


class LinkWindow:
    """The sender's view of one direction of a link."""

    def __init__(self, *, acknowledge_every_bytes: int = ACKNOWLEDGE_BYTES) -> None:
        """acknowledge_every_bytes is the most that the receiver leaves unacknowledged."""
        self._acknowledge_every = acknowledge_every_bytes
        self._floor = acknowledge_every_bytes + max(acknowledge_every_bytes, 2 * CHUNK_BYTES)
        self._window = max(INITIAL_WINDOW_BYTES, self._floor)
        self._target = MAX_WINDOW_BYTES
        self._sent = 0
        self._acknowledged = 0
        self._peak = 0  # most bytes in flight since the last ping
        # (bytes sent up to here, when, in a message of how many): what an acknowledgement of them is measured by.
        self._marks: deque[tuple[int, float, int]] = deque()
        self._unmarked = 0
        self._filled_at = -inf  # when the window was last full
        self._open_since: float | None = -inf  # since when there is room that nobody uses
        self._rate = 0.0  # bytes per second; 0.0 while unknown
        self._boost = 2.0
        self._base_s = 0.0
        self._looked_at = -inf  # when the base was last looked at
        self._look_due = -inf
        self._candidate_s = inf  # what the base becomes unless it is confirmed in time
        self._recent_s = 0.0  # a quickly moving minimum of what acknowledgements measure
        self._is_draining = False
        self._drained_from: int | None = None  # bytes sent beyond this met no queue of ours
        self._rounds_settled = 0  # since the window was last cut
        self._rounds_raised = 0  # left of looking at the base with a larger window
        self._round_started = 0.0
        self._round_sent = 0
        self._round_acknowledged = 0
        self._round_least_s = inf
        self._round_paused_s = 0.0

    @property
    def window_bytes(self) -> int:
        return self._window

    @property
    def in_flight_bytes(self) -> int:
        """Sent and not yet acknowledged."""
        return self._sent - self._acknowledged

    @property
    def rate_bytes_per_s(self) -> float:
        """What the link is believed to carry; 0.0 while it was never full."""
        return self._rate

    @property
    def base_round_trip_s(self) -> float:
        """What a crossing and back takes without any queue; 0.0 before the first measurement."""
        return self._base_s

    def room(self, now: float) -> int:
        """How much bulk may be sent now; 0 is followed by an acknowledgement that makes room."""
        if now - self._filled_at > PAUSE_S and self._window > INITIAL_WINDOW_BYTES:
            self._window = INITIAL_WINDOW_BYTES
            self._is_draining = False
            self._drained_from = None
        # A message arrives as a whole: a small window goes out in several, so that the link is not idle between them.
        room = min(self._window - self._sent + self._acknowledged, max(self._window // 4, CHUNK_BYTES))
        return max(0, room)

    def sent(self, n: int, now: float) -> None:
        """Note n bytes handed to the link, bulk or not."""
        self._sent += n
        self._unmarked += n
        if self._unmarked >= CHUNK_BYTES:
            self._marks.append((self._sent, now, n))
            self._unmarked = 0
        in_flight = self._sent - self._acknowledged
        if in_flight > self._peak:  # noqa: PLR1730 (max() costs twice as much, once for each message)
            self._peak = in_flight
        if in_flight > self._window - CHUNK_BYTES:
            self._filled_at = now
            if self._open_since is not None:
                self._round_paused_s += now - max(self._open_since, self._round_started)
                self._open_since = None

    def acknowledged(self, total_bytes: int, now: float) -> None:
        """Note that the receiver has so many bytes of all that were ever sent."""
        if total_bytes > self._sent:
            raise RemoteProtocolError(f"{total_bytes} bytes acknowledged of {self._sent} sent")
        gained = total_bytes - self._acknowledged
        if gained <= 0:
            return
        self._acknowledged = total_bytes
        is_in_use = self._open_since is None or now - self._open_since < TURN_S
        self._measure_by_marks(now, is_in_use=is_in_use)
        if self._is_draining:
            self._go_on_draining(now, is_in_use=is_in_use)
        else:
            if is_in_use and self._window < self._target:
                self._window = min(self._window + gained, self._target)
            if total_bytes > self._round_sent and now - self._round_started >= TURN_S:
                self._end_round(now)
        if self._open_since is None and self._sent - total_bytes <= self._window - CHUNK_BYTES:
            self._open_since = now

    def round_trip(self, sample_s: float, now: float) -> None:
        """Note what a ping measured."""
        is_quiet = self._peak <= BATCH_BYTES
        self._peak = self._sent - self._acknowledged
        self._measured(sample_s)
        if is_quiet:
            is_near = sample_s <= 1.05 * self._base_s
            self._candidate_s = self._base_s if is_near else min(self._candidate_s, sample_s)
            if is_near or now >= self._look_due:
                self._believe_candidate(now)

    def _measure_by_marks(self, now: float, *, is_in_use: bool) -> None:
        """The latest of the acknowledged marks gives a round trip, or more if it was acknowledged late."""
        marks, mark = self._marks, None
        while marks and marks[0][0] <= self._acknowledged:
            mark = marks.popleft()
        if mark is None:
            return
        sample_s = now - mark[1]
        self._measured(sample_s)
        # A message takes time to pass the link by itself, and arrives as a whole. That is no queue.
        sample_s -= mark[2] / self._rate if self._rate else 0.0
        self._round_least_s = min(self._round_least_s, sample_s)
        change_s = sample_s - self._recent_s
        self._recent_s += change_s if change_s < 0 or not self._recent_s else change_s / 4
        if self._boost > 1.0 and self._recent_s - self._base_s > self._base_s / 4 + SLACK_S:
            self._target = min(self._target, max(self._window, self._floor))  # a queue forms: wait for the round's end
        if is_in_use and self._drained_from is not None and self._acknowledged > self._drained_from:
            self._candidate_s = min(self._candidate_s, max(sample_s, self._base_s))

    def _measured(self, sample_s: float) -> None:
        """Any measurement may lower the base: there is no queue that makes a crossing shorter."""
        if not self._base_s or sample_s < self._base_s:
            self._base_s = max(sample_s, LEAST_S)

    def _believe_candidate(self, now: float) -> None:
        """Take the least of the trustworthy measurements for the base.

        A base that has grown does not widen the window by itself, for it may be a queue all the same (the rate fell
        just now): the rounds that follow show whether there is room, and it is looked at again soon.
        """
        self._looked(now, CONFIRM_S)
        if self._candidate_s < inf:
            old_s, self._base_s = self._base_s, self._candidate_s
            if self._base_s > 1.25 * old_s:
                self._rate = min(self._rate, self._window / self._base_s)
                self._look_due = now + RECHECK_S
        self._candidate_s = inf

    def _looked(self, now: float, every_s: float) -> None:
        """All links of a machine look at the same moments, so that they do not see each other's queues."""
        self._looked_at = now
        self._look_due = (now // every_s + 1) * every_s

    def _start_round(self, now: float) -> None:
        self._round_started = now
        self._round_sent = self._sent
        self._round_acknowledged = self._acknowledged
        self._round_least_s = inf
        self._round_paused_s = 0.0

    def _end_round(self, now: float) -> None:
        elapsed_s = now - self._round_started
        delivered, least_s = self._acknowledged - self._round_acknowledged, self._round_least_s
        paused_s = self._round_paused_s
        if self._open_since is not None:
            paused_s += now - max(self._open_since, self._round_started)
        self._start_round(now)
        if paused_s > PAUSED * elapsed_s:
            if self._rate:  # up to acknowledge_every of these may have arrived before the round
                self._rate = max(self._rate, (delivered - self._acknowledge_every) / elapsed_s)
                self._boost = 1.0
                self._retarget()
        elif self._rounds_raised:
            self._judge_raised(delivered / elapsed_s, now)
        elif least_s < inf:
            self._judge(delivered / elapsed_s, least_s, now)

    def _judge(self, rate: float, least_s: float, now: float) -> None:
        """Learn from a round in which the window was what held the sender back."""
        queue_s, no_queue_s = least_s - self._base_s, NO_QUEUE * self._base_s + NO_QUEUE_S
        is_long = queue_s > self._base_s + SLACK_S
        window = self._window
        if queue_s <= no_queue_s:
            if rate >= 1.25 * self._rate:
                self._boost = 2.0
            elif self._window >= self._target:
                self._boost = 1.25
            self._rate = max(self._rate, rate)
        else:
            weight = 1.0 if is_long or self._boost > 1.0 else SMOOTHING
            self._rate += weight * (rate - self._rate)
            self._boost = 1.0
        self._retarget()
        self._rounds_settled = self._rounds_settled + 1 if self._window > 0.9 * window else 0
        if is_long and not self._rounds_settled:  # something has changed: look, whatever was found before
            self._look_due = min(self._look_due, self._looked_at + RECHECK_S)
        if queue_s > no_queue_s and now >= self._look_due:
            self._look_at_base()

    def _judge_raised(self, rate: float, now: float) -> None:
        """Twice as much in flight: a slow link only queues it, a long one carries more."""
        self._rounds_raised -= 1
        if self._rounds_raised:
            return
        self._looked(now, RAISE_S)
        if rate >= 1.25 * self._rate:
            self._base_s = max(self._base_s, self._window / rate)  # what is in flight all came through in this time
            self._rate = rate
            self._boost = 2.0
            self._look_due = now + RECHECK_S
        self._retarget()

    def _retarget(self) -> None:
        wanted = self._boost * self._rate * (HEADROOM * self._base_s + SLACK_S) + self._acknowledge_every
        self._target = int(min(max(wanted, self._floor), MAX_WINDOW_BYTES))
        self._window = min(self._window, self._target)

    def _look_at_base(self) -> None:
        """Have so little in flight for a while that the base can be seen, or where the floor forbids it, more."""
        full = self._rate * self._base_s
        if self._floor > 0.75 * full:
            if self._rounds_settled >= SETTLED_ROUNDS:
                self._target = min(2 * self._window, MAX_WINDOW_BYTES)
                self._rounds_raised = RAISED_ROUNDS
            return
        self._window = min(self._window, int(max(self._floor, full / 2)))
        self._is_draining = True
        self._drained_from = None
        self._candidate_s = inf

    def _go_on_draining(self, now: float, *, is_in_use: bool) -> None:
        if is_in_use:
            if self._drained_from is None:
                if self._sent - self._acknowledged <= self._window:
                    self._drained_from = self._sent
                return
            if self._acknowledged < self._drained_from + self._window // 2:
                return
        self._believe_candidate(now)
        self._is_draining = False
        self._drained_from = None
        self._start_round(now)
        self._retarget()
