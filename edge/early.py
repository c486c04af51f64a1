"""What an edge answers itself, so that it costs no crossing: which tricks a configuration allows, and what is known.

A **description** is what PostgreSQL says to the Describe of a statement: parameter types and row description. It is
learnt from answers that pass, is shared by all sessions of the configuration under the statement's shared name, and is
never trusted: a Bind carries the digest of what its client was told, and the pool node compares it with what the
origin connection says before anything runs (rules 10). What is known here is therefore only a guess that is good nearly
always; it is dropped when the pool node says that the catalogue has changed.
"""

from typing import Final

import attrs

from edge.control import Control
from edge.memos import Memos
from protos.bounded import Bounded
from protos.pg.description import digest_of, split_description
from protos.pg.messages import no_data, parameter_description

MAX_DESCRIPTION_BYTES: Final = 8 << 20  # per configuration
OVERHEAD_BYTES: Final = 300  # of one that is kept, beside its own


@attrs.frozen
class Description:
    """Of one statement: its ParameterDescription, and its RowDescription or NoData."""

    parameters: bytes
    rows: bytes
    digest: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "digest", digest_of(self.parameters, self.rows))

    def __len__(self) -> int:
        return len(self.parameters) + len(self.rows)


#: Of a statement that has neither parameters nor rows.
NOTHING: Final = Description(parameter_description([]), no_data())


class Early:
    """Of one configuration at this edge."""

    def __init__(self, *, begin: bool = False, prepare: bool = False, remember: bool = False) -> None:
        self.begin = begin
        """BEGIN is held until the first statement, and an empty transaction ends here."""
        self.prepare = prepare
        """A prepare round trip (Parse and Describe) of a known statement is answered here."""
        self.remember = remember
        """Some answers are remembered; the pool node says which."""
        self.memos = Memos()
        self._descriptions: Bounded[bytes, Description] = Bounded(MAX_DESCRIPTION_BYTES)

    def __len__(self) -> int:
        return len(self._descriptions)

    @property
    def is_on(self) -> bool:
        """Whether anything is answered here at all."""
        return self.begin or self.prepare or self.remember

    def allow(self, *, begin: bool, prepare: bool, remember: bool) -> None:
        """What the configuration allows from now on."""
        self.begin, self.prepare, self.remember = begin, prepare, remember

    def description_of(self, name: bytes) -> Description | None:
        """By the statement's shared name."""
        return self._descriptions.get(name) if self.prepare else None

    def learn(self, name: bytes, description: Description) -> None:
        """What the origin has said of a statement."""
        self._descriptions.put(name, description, len(description) + OVERHEAD_BYTES)

    def told(self, name: bytes, messages: bytes) -> None:
        """A pool node says how a statement is described now; nothing means that nobody knows."""
        self.forget(name)
        if messages:
            self.learn(name, Description(*split_description(messages)))

    def forget(self, name: bytes) -> None:
        self._descriptions.forget(name)

    def forget_all(self) -> None:
        """The catalogue has changed, or the origin is another."""
        self.memos.forget_all()
        self._descriptions.clear()

    def told_of(self, name: bytes, control: Control | None) -> Description | None:
        """What a client may be told of a statement before the origin has seen it.

        control: what it does to transactions, where that is answered here.
        """
        if control is None:
            return self.description_of(name)
        rows = b"" if control.switch is None else control.switch.rows
        return Description(NOTHING.parameters, rows) if rows else NOTHING
