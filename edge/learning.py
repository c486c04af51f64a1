"""What one session's own requests teach its edge: how statements are described.

Only groups that begin while the session is at rest do, and only what stands before the first message that is no Parse,
Describe or Close: its replies are the first to come. What is parsed without a Describe has the description that the
pool node tells beside the answer, if it does; what is described is listened to as the answer passes (`Hearing`).
"""

from edge.early import Early
from edge.hearing import Hearing
from edge.statements import Statements
from protos.pg.tags import Frontend


class Learning:
    """Of one session."""

    __slots__ = ("_early", "_hearing", "_may_hear", "_parsed", "_statements")

    def __init__(self, statements: Statements, early: Early) -> None:
        self._statements = statements
        self._early = early
        self._may_hear = False  # only Parses and Closes came since the session was at rest
        self._parsed: list[bytes] = []  # names, by those
        self._hearing: Hearing | None = None

    def begin(self, *, is_at_rest: bool) -> None:
        """A group of extended messages goes out."""
        self._may_hear = self._early.prepare and is_at_rest

    def sent(self, tag: int, message: bytes, *, whole: bool) -> None:
        """A message of the group, under the client's own names."""
        if not self._may_hear or tag == Frontend.CLOSE:
            return
        if tag == Frontend.PARSE:
            if whole and message[5]:  # the unnamed one is mostly gone by then
                self._parsed.append(message[5 : message.index(0, 5)])
            return
        if tag == Frontend.DESCRIBE:
            self._listen(message)
        self._may_hear = False

    def _listen(self, describe: bytes) -> None:
        """What comes is the description of this statement."""
        if describe[5:6] == b"S":
            name = describe[6:-1]
            statement = self._statements.get(name)
            if statement is not None and statement.script is None:
                self._hearing = Hearing(name, statement)

    def heard(self, data: bytes, *, is_certain: bool) -> None:
        """Bytes of an answer; is_certain: statements mean what they mean elsewhere."""
        hearing = self._hearing
        if hearing is None or not hearing.is_over(data):
            return
        self._hearing = None
        if hearing.description is not None and is_certain:
            self._early.learn(hearing.statement.name, hearing.description)
            if self._statements.get(hearing.name) is hearing.statement:  # the name may be another's by now
                self._statements.tell(hearing.name, hearing.description.digest)

    def settled(self, *, is_certain: bool) -> None:
        """The group has been answered."""
        if not self._parsed:
            return
        parsed, self._parsed = self._parsed, []
        for name in parsed if is_certain else ():
            statement = self._statements.get(name)
            description = None if statement is None else self._early.description_of(statement.name)
            if description is not None:
                self._statements.tell(name, description.digest)

    def stop(self) -> None:
        """What comes is no answer to it."""
        self._hearing = None
        self._parsed = []
