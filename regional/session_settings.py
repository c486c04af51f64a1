"""The settings of one session: those it began with, those it has now, and whether its edge knows them yet.

An edge names the session's statements by its settings (rules 8). Between the moment when the session has others and
the edge's word that it names them accordingly, names may come that were made for the older ones.
"""

from collections.abc import Callable

from protos.link.link_pb2 import State
from protos.link.settings import to_wire
from regional.profile import Profile
from regional.residue import Residue


class SessionSettings:
    """Of one session."""

    __slots__ = ("_encoding_of", "_unconfirmed", "client_encoding", "present", "startup", "told")

    def __init__(self, startup: Profile, encoding_of: Callable[[Profile], str]) -> None:
        """encoding_of: in which encoding a session with these settings sends its statements."""
        self._encoding_of = encoding_of
        self._unconfirmed = 0  # states that the edge has not confirmed
        self.startup = startup
        self.present = startup
        self.client_encoding = encoding_of(startup)
        self.told: set[Residue] = set()
        """What the client has been told that it cannot keep."""

    @property
    def are_ahead_of_edge(self) -> bool:
        """Whether names of statements may come that were made for other settings than these."""
        return self._unconfirmed > 0

    def change(self, present: Profile) -> None:
        """These are the session's settings from now on."""
        self.present = present
        self.client_encoding = self._encoding_of(present)

    def state(self, *, pinned: bool) -> State:
        """What the edge has to know, to be sent to it now."""
        self._unconfirmed += 1
        return State(settings=to_wire(self.present.settings.items()), pinned=pinned)

    def confirmed(self) -> None:
        """The edge names the session's statements by the settings that it was told first of those not confirmed."""
        self._unconfirmed = max(0, self._unconfirmed - 1)
