"""Keep our publication as the catalogue wants it, and know what it holds."""

from collections.abc import Callable
from typing import Final

import attrs
import trio

from regional.cache import publication
from regional.cache.lines import Line, RefusedError
from regional.cache.publication import Holding, Tables

SINGLY_S: Final = 1.0  # for trying tables one by one
# A table that is locked, renamed or dropped meanwhile, or another pool node at the same work: the next time will do.
_UNKNOWN: Final = "42704"
_LATER: Final = frozenset({publication.NO_LOCK, "40P01", "42P01", _UNKNOWN, "42710", "XX000"})


@attrs.define(eq=False)
class PublishedTables:
    """One database's publication of ours, seen over one line."""

    line: Line
    name: str
    tables: Tables = attrs.field(factory=lambda: Tables({}, frozenset(), 0))
    holding: Holding = attrs.field(factory=dict)

    async def create(self) -> None:
        await self._try(publication.create_statement(self.name))

    async def settle(self, changed: Callable[[], None]) -> None:
        """Add what is missing, remove what should not be there. Raises RefusedError.

        changed is called when tables or holding are others: first of all before anything is removed.
        """
        self.tables = tables = Tables.from_rows(await self.line.rows(publication.TABLES_QUERY.encode()))
        self.holding = await self._held()
        changed()
        surplus = [entry.name for oid, entry in self.holding.items() if oid not in tables.names]
        if surplus:
            await self._try(publication.remove_statement(self.name, surplus))
        missing = [name for oid, name in tables.names.items() if oid not in self.holding]
        if missing:
            await self._add(missing)
        if surplus or missing:
            self.holding = await self._held()
            changed()

    async def _held(self) -> Holding:
        return publication.holding_of(await self.line.rows(publication.holding_query(self.name)))

    async def _try(self, sql: bytes) -> str:
        """Why it has to wait; empty if it is done."""
        try:
            await self.line.rows(sql)
        except RefusedError as error:
            if error.code not in _LATER:
                raise
            return error.code
        return ""

    async def _add(self, names: list[str]) -> None:
        sql = publication.add_statement(self.name, names)
        why = await self._try(sql)
        if why == _UNKNOWN:  # somebody has dropped it; before PostgreSQL 18 a stream would end with it
            await self.create()
            why = await self._try(sql)
        if why:
            await self._add_singly(names)

    async def _add_singly(self, names: list[str]) -> None:
        """One of them is locked: leave it for later."""
        with trio.move_on_after(SINGLY_S):
            for name in names:
                await self._try(publication.add_statement(self.name, [name]))
