"""Follow one database's writes, also those that do not go through Onetrip, by the origin's logical decoding.

Theory of operation: `run` makes one attempt after the other (`regional/cache/pursuit.py`), with a pause that grows.
Answers read from a table may be kept while `follows` says so. That is true only within FRESH_S of a moment up to which
everything committed is known to have been published; when that time is over, or the attempt ends, all answers are
invalidated, once, and nothing is kept until the next stream has begun and everything has been invalidated again.

So a write that bypasses Onetrip is published some milliseconds after others can see it; at the worst FRESH_S and
CHECK_EVERY_S after it, in the form of everything.
"""

import random
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog
import trio

from protos.errors import ServiceError
from regional.cache import publication
from regional.cache.lines import Line, RefusedError
from regional.cache.pursuit import PARAMETERS, NotFollowedError, Publish, Pursuit
from regional.configuration import Configuration, OriginSecret
from regional.dial import Dialer

FRESH_S: Final = 3.0
CHECK_EVERY_S: Final = 0.25
RETRY_S: Final = 0.5
MAX_RETRY_S: Final = 30.0
GOOD_S: Final = 30.0  # of following, after which the pauses begin small again
DROP_S: Final = 10.0

BEGINNING: Final = "it has only begun"
BEHIND: Final = f"the origin has not shown for {FRESH_S:g} s that all has been told"
ENDED: Final = "it has ended"

Access = Callable[[], tuple[Configuration, OriginSecret]]

log = structlog.get_logger(__name__)


class Following:
    """One database."""

    def __init__(self, dialer: Dialer, access: Access, publish: Publish) -> None:
        """access gives a configuration of this database, as it is now; publish invalidates tables, or everything."""
        self.reason = BEGINNING
        """Why nothing is followed; empty while something is."""
        self._dialer = dialer
        self._access = access
        self._publish = publish
        self._pursuit: Pursuit | None = None
        self._renewed = trio.Event()
        self._told = ""

    def follows(self, tables: frozenset[int]) -> bool:
        """Whether answers that were read from these tables may be kept now."""
        pursuit = self._pursuit
        if pursuit is None or self.reason or not pursuit.is_fresh(monotonic(), FRESH_S):
            return False
        return tables <= pursuit.followed

    @property
    def database(self) -> str:
        """Which server and database is followed, as `Reach.database` has it."""
        return self._pursuit.database if self._pursuit is not None else ""

    @property
    def followed(self) -> int:
        """How many tables are followed; views and partitioned tables count as well."""
        return len(self._pursuit.followed) if self._pursuit is not None and not self.reason else 0

    @property
    def unowned(self) -> int:
        """How many more tables could be followed if the origin's user owned them."""
        return self._pursuit.unowned if self._pursuit is not None else 0

    def renew(self) -> None:
        """The catalogue has changed, or how the origin is reached: look at once."""
        if self._pursuit is not None:
            self._pursuit.renew()
        self._renewed.set()

    def check(self) -> None:
        """See whether it still follows; if it no longer does, everything is invalidated here."""
        pursuit = self._pursuit
        if pursuit is None:
            return
        if pursuit.stream is None:
            self._not_following(pursuit.stage)
        elif not pursuit.is_fresh(monotonic(), FRESH_S):
            self._not_following(BEHIND)
        elif self.reason:
            self.reason = ""
            self._tell("")

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._check_often)
                await self._try_on()
        finally:
            self._pursuit = None
            self._not_following(ENDED)

    async def _try_on(self) -> None:
        retry_s = RETRY_S
        while True:
            began_at = monotonic()
            why = await self._attempt()
            self._not_following(why)
            self._tell(why)
            if monotonic() - began_at > GOOD_S:
                retry_s = RETRY_S
            self._renewed = trio.Event()
            with trio.move_on_after(retry_s * random.uniform(0.5, 1.0)):
                await self._renewed.wait()
            retry_s = min(retry_s * 2, MAX_RETRY_S)

    async def _attempt(self) -> str:
        """One attempt; why it has ended."""
        access = self._access()
        self._pursuit = Pursuit(self._dialer, access, self._publish)
        try:
            await self._pursuit.run()
        except NotFollowedError as error:
            return str(error)
        except Exception as error:
            log.exception("following the origin's writes failed unforeseen", configuration=access[0].name)
            return repr(error)
        finally:
            self._pursuit = None
        return ENDED

    async def _check_often(self) -> None:
        while True:
            await trio.sleep(CHECK_EVERY_S)
            self.check()

    def _not_following(self, why: str) -> None:
        if not self.reason:
            self._publish(None)
            self._tell(why)
        self.reason = why

    def _tell(self, why: str) -> None:
        """Log it, once for each reason."""
        if why == self._told:
            return
        self._told = why
        name = self._access()[0].name
        if why:
            log.warning("the origin's writes are not followed, so no answers are kept", configuration=name, why=why)
        else:
            log.info("the origin's writes are followed", configuration=name, tables=self.followed)


async def drop_publication(dialer: Dialer, configuration: Configuration, secret: OriginSecret) -> str:
    """Remove what following has left in the database; whoever follows it still makes it anew.

    Returns why it could not be done, or nothing. Cancellation: safe.
    """
    user = configuration.origin.user
    line: Line | None = None
    try:
        with trio.fail_after(DROP_S):
            login = await dialer.presenting(**PARAMETERS).dial(configuration, secret)
            line = Line(login.connection)
            await line.rows(publication.drop_statement(publication.publication_name(user)))
    except trio.TooSlowError:
        return "the origin does not answer"
    except (RefusedError, ServiceError) as error:
        return publication.why_refused(str(error), user)
    finally:
        if line is not None:
            line.close()
    return ""
