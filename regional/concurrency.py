"""The concurrency control: how many connections a pool may grow to, by whether more of them get more done.

A database that is slow makes clients wait just as a pool that is too small does, but more connections then only make
it slower (rules 14). So the control asks one question while clients wait all the time: do more leases end in a second
with twice the connections, or with half of them? It is answered by trial, and throughput is what is compared: with
all connections busy, latency is their number divided by it, so "latency rises with concurrency" is the same
statement, and a count needs no baseline, no percentile and no knowledge of what the statements are. The count costs a
query nothing that it did not cost before; everything else happens at the janitor's ticks.

    CALM ──clients wait──► MEASURING a window ──► is it locks? ──no──► TRIAL of low against high ──► the winner is kept
     ▲                          ▲                      └─yes─► those that wait for locks do not count: grow      │
     └──nobody waits────────────┴──────────── after a rest, doubled each time it was in vain ◄───────────────────┘

- A trial **down** compares the present size with half of it, by holding leases back: nothing is opened or closed for
  it, and half a second of it is enough where half is clearly worse. If half does as well, half it is, and so on. If
  not, concurrency is worth something, and a trial **up** follows at once: the present size against twice that. The
  smaller size is taken unless it costs more than 5 % of the throughput, all halvings together (`trial.py`).
- **Working and not.** The sizes tried are those of connections that work. One whose client says nothing within its
  transaction, and one that waits for a lock, load nothing: they come on top. Which leases are quiet the pool node sees.
  How many wait for locks the origin is asked (`wants_locks`), only while clients wait, at most twice a second. Where
  they are a quarter or more there is no trial: what more connections get done says nothing then.
- **In doubt it grows**: if too few leases end to compare anything, a quarter more each second; a single one where
  more did end a minute ago, for then the database has become slow.
- It starts at START, so that a crowd gets that many connections at once, never goes below the floor, and forgets what
  it has found when nobody has waited for FORGET_S.
"""

import math
from typing import Final

import attrs

from regional.trial import Trial

START: Final = 20  # the default of origin_connection_limit
MIN_WINDOW_S: Final = 0.4
MAX_WINDOW_S: Final = 4.0
MIN_LEASES: Final = 20  # in a window, and twice for each connection
SATURATED: Final = 0.75  # of the leases had to wait
BUSY: Final = 0.5  # of them: enough to look whether fewer connections would do
READY_S: Final = 4.0  # for the sizes of a trial to be reached
REST_S: Final = 20.0
MAX_REST_S: Final = 160.0
FORGET_S: Final = 30.0
STUCK_S: Final = 1.0
RECENT_S: Final = 60.0
MANY_LOCKED: Final = 0.25
LOCKS_AGE_S: Final = 2.0
LOCKS_ANSWER_S: Final = 2.0
FREE: Final = 1 << 30


@attrs.frozen(kw_only=True)
class Sample:
    """What a pool looks like at one tick."""

    now: float
    leases: int
    """Since the beginning, as `queued_leases`: those of them that had to wait."""
    queued_leases: int
    size: int
    dialing: int
    leased: int
    quiet: int
    """Leases in which no statement runs."""
    waiters: int
    waited_s: float

    @property
    def ended(self) -> int:
        """Leases that have ended."""
        return self.leases - self.leased


class Control:
    """Of one pool. `tick` decides; `size`, `lease_cap`, `is_holding` and `wants_locks` say what."""

    def __init__(self, limit: int, floor: int) -> None:
        self.limit = limit
        self.floor = floor
        """At most the limit."""
        self.is_holding = False
        """Whether more connections were found to get no more done."""
        self._working = START
        self._given_up = 0.0
        self._not_working = 0
        self._locked = 0
        self._told_at = self._asked_at = -math.inf
        self._since: Sample | None = None  # the beginning of the window
        self._trial: Trial | None = None
        self._trial_at = 0.0  # since when its present size is waited for
        self._seen_at = -math.inf  # when a throughput was measured last
        self._waited_at = -math.inf
        self._grown_at = -math.inf
        self._down_at = self._up_at = -math.inf  # not before
        self._down_rest_s = self._up_rest_s = REST_S
        self._now = -math.inf

    # --- what it says ---

    @property
    def size(self) -> int:
        """How many connections there may be."""
        working = self._working if self._trial is None else self._trial.high
        return self._bounded(working + self._not_working)

    @property
    def lease_cap(self) -> int:
        """How many may be leased at once."""
        trial = self._trial
        if trial is None or trial.measures_high:
            return FREE
        return self._bounded(trial.low + self._not_working)

    @property
    def wants_locks(self) -> bool:
        """Whether the origin is to be asked now how many connections wait for locks; `locks_told` takes the answer."""
        return self._asked_at == self._now > self._told_at

    def locks_told(self, number: int, now: float) -> None:
        self._told_at = now
        self._locked = number
        if self._trial is None:
            self._not_working = max(self._not_working, number)

    # --- what it decides ---

    def tick(self, sample: Sample) -> None:
        self._now = sample.now
        self._see_idle_leases(sample)
        trial, since = self._trial, self._since
        if trial is None and not (sample.waiters and sample.leased):
            self._calm(sample)
            return
        if sample.waiters:
            self._waited_at = sample.now
        if since is None:
            self._begin_window(sample)
            return
        leases = sample.ended - since.ended
        seconds = sample.now - since.now
        is_enough = leases >= max(MIN_LEASES, 2 * sample.leased) and seconds >= MIN_WINDOW_S
        if trial is not None:
            if not sample.waiters and not (trial.measures_high and is_enough):  # the load has gone
                self._end_trial()
            elif is_enough or seconds >= MAX_WINDOW_S:
                self._go_on(trial, leases, seconds, sample)
        elif is_enough:
            self._since = sample
            self._waited(leases, seconds, (sample.queued_leases - since.queued_leases) / leases, sample)
        elif seconds >= MAX_WINDOW_S or (not leases and min(seconds, sample.waited_s) >= STUCK_S):
            self._since = sample
            self._in_doubt(sample)

    def _bounded(self, size: int) -> int:
        return max(self.floor, min(size, self.limit))

    def _see_idle_leases(self, sample: Sample) -> None:
        """Grows with what is seen at once, and falls by and by, for a tick sees one moment only."""
        if self._trial is None:
            fallen = self._not_working - max(1, self._not_working // 10)
            self._not_working = max(sample.quiet + self._locked, fallen, 0)

    def _calm(self, sample: Sample) -> None:
        self._since = None
        if sample.now - self._waited_at >= FORGET_S:
            self._working = max(START, sample.leased)
            self._locked = 0
            self._given_up = 0.0
            self._down_at = self._up_at = -math.inf
            self._down_rest_s = self._up_rest_s = REST_S
            self.is_holding = False

    def _begin_window(self, sample: Sample) -> None:
        """If the sizes are those that are to be measured."""
        trial = self._trial
        if trial is None:
            is_ready = True
            if sample.now - max(self._told_at, self._asked_at) > LOCKS_AGE_S:
                self._asked_at = sample.now
        elif trial.measures_high:
            is_ready = not sample.dialing
        else:
            is_ready = sample.leased <= self.lease_cap
        if is_ready:
            self._since = sample
        elif trial is not None and sample.now - self._trial_at > READY_S:
            self._end_trial()
            self._rest(sample.now, is_up=trial.is_up)

    def _waited(self, leases: int, seconds: float, queued: float, sample: Sample) -> None:
        """Clients have waited for a window, in which enough leases have ended."""
        now = sample.now
        if queued < BUSY:  # now and then only
            if now >= self._up_at:
                self._grow(sample, sample.size // 4)
                self.is_holding = False
            return
        self._seen_at = now
        if self._asked_at > self._told_at:
            if now - self._asked_at < LOCKS_ANSWER_S:
                return
            self._told_at = now  # nobody can tell
            self._locked = 0
        is_bound = self._is_bound_by_locks(sample)
        if is_bound or now - self._told_at > LOCKS_AGE_S:
            self._asked_at = now
        if is_bound:
            self.is_holding = False
        elif now - self._told_at <= LOCKS_AGE_S and not sample.dialing:
            self._begin_trial(leases, seconds, sample, is_saturated=queued >= SATURATED)

    def _is_bound_by_locks(self, sample: Sample) -> bool:
        return self._locked > MANY_LOCKED * sample.leased

    def _begin_trial(self, leases: int, seconds: float, sample: Sample, *, is_saturated: bool) -> None:
        """Try another size if it is time to; what was just measured is the first window."""
        now = sample.now
        working = max(self.floor, min(self._working, self.limit, sample.size - self._not_working))
        low = max(self.floor, working // 2)
        high = min(2 * working, self.limit)
        if low <= 0.8 * working and now >= self._down_at:
            trial = Trial(low, working, is_up=False, measures_high=True, given_up=self._given_up)
        elif not is_saturated:
            return
        elif high >= 1.2 * working and now >= self._up_at:
            trial = Trial(working, high, is_up=True, measures_high=False)
        else:
            if not self.is_holding:
                self._working = high
            return
        self._trial = trial
        self._go_on(trial, leases, seconds, sample)

    def _go_on(self, trial: Trial, leases: int, seconds: float, sample: Sample) -> None:
        """A window of the trial is over."""
        before = trial.measures_high
        trial.add(leases, seconds)
        is_low_enough = trial.is_low_enough
        if is_low_enough is None:
            self._trial_at = sample.now
            self._since = sample if trial.measures_high == before else None
            return
        self._end_trial()
        self.is_holding = is_low_enough
        self._working = trial.low if is_low_enough else trial.high
        if is_low_enough == trial.is_up:  # in vain
            self._rest(sample.now, is_up=trial.is_up)
        elif trial.is_up:
            self._up_rest_s = REST_S
            self._down_at = sample.now + REST_S
            self._given_up = 0.0
        else:
            self._given_up += min(0.0, trial.mean)
            self._down_rest_s = REST_S
            self._up_at = sample.now + REST_S  # if half does as well, twice as many do no better

    def _end_trial(self) -> None:
        self._trial = None
        self._since = None

    def _rest(self, now: float, *, is_up: bool) -> None:
        if is_up:
            self._up_at = now + self._up_rest_s
            self._up_rest_s = min(2 * self._up_rest_s, MAX_REST_S)
        else:
            self._down_at = now + self._down_rest_s
            self._down_rest_s = min(2 * self._down_rest_s, MAX_REST_S)
            self._up_at = -math.inf

    def _in_doubt(self, sample: Sample) -> None:
        """Clients wait, and too few leases end to say anything."""
        self._asked_at = sample.now
        if sample.now - self._grown_at < STUCK_S:
            return
        self._grown_at = sample.now
        self.is_holding = sample.now - self._seen_at < RECENT_S and not self._is_bound_by_locks(sample)
        self._grow(sample, 1 if self.is_holding else sample.size // 4)

    def _grow(self, sample: Sample, more: int) -> None:
        if sample.size >= self.size:
            self._working = min(max(self._working, sample.size - self._not_working) + max(1, more), self.limit)
