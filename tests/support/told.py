"""A session that was told how its statements are described, and says so: what an edge does that answers a Describe."""

from collections.abc import Callable
from typing import Final

from edge.memos import Settings
from edge.session import Session
from protos.link.settings import UNCERTAIN
from protos.pg.description import digest_of, qualified, split_name
from protos.pg.framer import FRONTEND_LIMITS, Framer, Piece
from protos.pg.messages import describe_statement, parse, sync
from protos.pg.tags import Backend, Frontend
from regional.prepared import renamed_statement, statement_named_in
from tests.support.beside import Answer, Client, Edge

WRONG: Final = b"0" * 16


class TellingSession(Session):
    """Names in Bind and Describe are qualified where a description was told."""

    def __init__(self, scope: bytes) -> None:
        super().__init__(Settings((), scope, b""))
        self.told: dict[bytes, bytes] = {}
        self.statuses: list[int] = []
        """All that came with a ReadyForQuery."""
        self.on_name: Callable[[bytes], object] = lambda name: None
        self._claims = Framer(FRONTEND_LIMITS, frozenset({Frontend.BIND, Frontend.DESCRIBE}))

    def feed(self, data: bytes) -> bytes:
        return b"".join(self._claim(piece) for piece in self._claims.feed(super().feed(data)))

    def answered(self, settled: int, status: int) -> None:
        self.statuses.append(status)
        super().answered(settled, status)

    def _claim(self, piece: Piece) -> bytes:
        if not piece.tag or (piece.tag == Frontend.DESCRIBE and piece.data[5:6] != b"S"):
            return piece.data
        name, _ = split_name(statement_named_in(piece))
        self.on_name(name)
        digest = self.told.get(name)
        return renamed_statement(piece, qualified(name, digest)).data if digest else piece.data


class Told(Client):
    """Its session is a TellingSession."""

    def __init__(self, edge: Edge, settings: dict[str, str] | None = None) -> None:
        super().__init__(edge, settings or {})
        self.telling = TellingSession(repr(sorted(self.settings.items())).encode()[:64])
        self.session = self.telling

    @property
    def is_uncertain(self) -> bool:
        """Whether the last ReadyForQuery said so."""
        return self.telling.statuses[-1] & UNCERTAIN != 0

    async def learn(self, name: bytes, sql: bytes, types: list[int] | None = None) -> bytes:
        """Parse and describe a statement for real; its digest, which is told from now on."""
        names: list[bytes] = []
        told, self.telling.told = self.telling.told, {}
        self.telling.on_name = names.append
        answer = await self.ask(parse(name, sql, types or []), describe_statement(name), sync())
        self.telling.on_name = lambda name: None
        digest = digest_in(answer)
        self.telling.told = {**told, names[0]: digest}
        return digest

    def tell(self, digest: bytes) -> None:
        """Another description of all its statements was told."""
        for name in self.telling.told:
            self.telling.told[name] = digest

    @property
    def name(self) -> bytes:
        """The shared name of its only statement."""
        (name,) = self.telling.told
        return name


def digest_in(answer: Answer) -> bytes:
    """Of the one description in an answer."""
    first, second = (
        message.data
        for message in answer.messages
        if message.tag in (Backend.PARAMETER_DESCRIPTION, Backend.ROW_DESCRIPTION, Backend.NO_DATA)
    )
    return digest_of(first, second)
