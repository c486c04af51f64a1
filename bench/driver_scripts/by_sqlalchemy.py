"""SQLAlchemy 2, on psycopg and on asyncpg: its Core for the plain scripts, a Session for the object."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import Connection, bindparam, create_engine, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.driver_scripts.plain import Loop
from bench.driver_scripts.stage import SCRIPTS, TABLE

T = TypeVar("T")


class Base(DeclarativeBase):
    """What SQLAlchemy wants."""


class Thing(Base):
    """A row."""

    __tablename__ = TABLE
    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str]
    seen: Mapped[int]


def _read(connection: Connection, number: int) -> str:
    return str(connection.scalar(select(Thing.word).where(Thing.id == number)))


def _seen(connection: Connection, first: int, last: int) -> int:
    return int(connection.scalar(select(func.min(Thing.seen)).where(Thing.id.between(first, last))) or 0)


def _transaction(connection: Connection, number: int, value: int) -> str:
    with connection.begin():
        word = _read(connection, number)
        connection.execute(update(Thing).where(Thing.id == number).values(seen=value))
    return word


def _batch(connection: Connection, numbers: Sequence[int], value: int) -> None:
    table = Thing.__table__
    statement = update(Thing).where(table.c.id == bindparam("row")).values(seen=bindparam("value"))
    with connection.begin():
        connection.execute(statement, [{"row": number, "value": value} for number in numbers])


def _orm(session: Session, number: int, value: int) -> str:
    thing = session.get_one(Thing, number)
    thing.seen = value
    word = thing.word
    session.commit()
    return word


class SqlAlchemy:
    """The blocking engine, on psycopg. A connection comes from the engine's pool when it is first used."""

    scripts = SCRIPTS
    connection: Connection | None = None

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url.replace("postgres://", "postgresql+psycopg://", 1))

    def connect(self) -> None:
        self.engine.connect().close()

    def _with(self, work: Callable[..., T], *arguments: Any) -> T:
        if self.connection is None:
            self.connection = self.engine.connect()
        return work(self.connection, *arguments)

    def word(self, number: int) -> str:
        return self._with(_read, number)

    def seen(self, first: int, last: int) -> int:
        return self._with(_seen, first, last)

    def transaction(self, number: int, value: int) -> str:
        return self._with(_transaction, number, value)

    def batch(self, numbers: Sequence[int], value: int) -> None:
        self._with(_batch, numbers, value)

    def orm(self, number: int, value: int) -> str:
        with Session(self.engine) as session:
            return _orm(session, number, value)

    def release(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def close(self) -> None:
        self.engine.dispose()


class SqlAlchemyAsync:
    """The asynchronous engine, on asyncpg."""

    scripts = SCRIPTS
    connection: AsyncConnection | None = None

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        # Its URL takes asyncpg's own words: `ssl` for libpq's `sslmode`.
        mode = parse_qs(parts.query).get("sslmode", ["prefer"])[0]
        self.engine = create_async_engine(parts._replace(scheme="postgresql+asyncpg", query=f"ssl={mode}").geturl())
        self._run = Loop().run

    async def _connect(self) -> None:
        async with self.engine.connect():
            pass

    def connect(self) -> None:
        self._run(self._connect())

    async def _with(self, work: Callable[..., T], *arguments: Any) -> T:
        if self.connection is None:
            self.connection = await self.engine.connect()
        return await self.connection.run_sync(work, *arguments)

    def word(self, number: int) -> str:
        return self._run(self._with(_read, number))

    def seen(self, first: int, last: int) -> int:
        return self._run(self._with(_seen, first, last))

    def transaction(self, number: int, value: int) -> str:
        return self._run(self._with(_transaction, number, value))

    def batch(self, numbers: Sequence[int], value: int) -> None:
        self._run(self._with(_batch, numbers, value))

    async def _orm(self, number: int, value: int) -> str:
        async with AsyncSession(self.engine) as session:
            return await session.run_sync(_orm, number, value)

    def orm(self, number: int, value: int) -> str:
        return self._run(self._orm(number, value))

    def release(self) -> None:
        if self.connection is not None:
            self._run(self.connection.close())
            self.connection = None

    def close(self) -> None:
        self._run(self.engine.dispose())
