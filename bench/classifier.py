"""`python -m bench classifier`: what it costs to find out what a statement reads and writes, on a miss of the memo.

Theory of operation: the real classifier judges statements that it has never seen: each has another alias, so nothing is
remembered, not even by the grammar. The snapshot of the catalogue has what the statements name and no more; its size
does not count, since every look-up is one of a hash. A hit of the memo is measured too: the same text with other
constants. All times are CPU time of this process; the least is shown beside the median, for a busy machine.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from bench import machine
from bench.report import Table, save
from bench.workspace import say
from regional.cache.classifier import Classifier
from regional.cache.reach import Reach

#: Rows as `REACH_QUERY` gives them.
ROWS: Final = (
    ("v", "a database", "UTF8", 0, 0, "read committed"),
    ("r", "public", "users", 20000, 0, ""),
    ("r", "public", "orders", 20001, 0, ""),
    ("a", "", "name", 0, 4, "20000"),
    ("a", "", "placed", 0, 4, ""),
    ("f", "", "count", 0, 0, "0 0 0 0,1 1 0 0"),
    ("f", "", "sum", 0, 0, "1 1 0 0"),
    ("f", "", "date_trunc", 0, 0, "2 2 0 0,3 3 0 0"),
    *(("o", "2", name, 0, 0, "") for name in ("=", ">", "<", ">=", "*", "~~*")),
)
SHORT: Final = "SELECT {0}.id, {0}.name, {0}.email FROM users {0} WHERE {0}.org_id = $1 AND {0}.name = 'a' ORDER BY id"
LONG: Final = (
    'SELECT "{0}"."id" AS "id", "{0}"."name" AS "name", "{0}"."email" AS "email", "o"."id" AS "o_id", "o"."total"'
    ', count("i"."id") AS "items", sum("i"."total" * 2) AS "revenue", date_trunc(\'day\', "o"."placed") AS "day"'
    ' FROM "users" "{0}" LEFT OUTER JOIN "orders" "o" ON "o"."user_id" = "{0}"."id" LEFT JOIN "orders" "i" ON'
    ' "i"."user_id" = "o"."id" WHERE "{0}"."org_id" = $1 AND "o"."placed" >= $2 AND "o"."placed" < $3 AND "{0}"."name"'
    ' ILIKE $4 AND ("o"."note" IS NULL OR "o"."id" IN ($5, $6, $7)) GROUP BY "{0}"."id", "o"."id", date_trunc(\'day\','
    ' "o"."placed") HAVING sum("i"."total") > 0 ORDER BY "o"."placed" DESC, "{0}"."id" LIMIT 50 OFFSET 100'
)
TARGETS_US: Final = {"100 characters": 40.0, "650 characters": 150.0}
HEADS: Final = ("", "100 characters", "650 characters")


@attrs.frozen(kw_only=True)
class ClassifierOptions:
    """How much to measure."""

    statements: int = 2000
    json_file: str | None = None


def reach() -> Reach:
    """The snapshot of a small database."""
    return Reach.from_rows([[str(value).encode() for value in row] for row in ROWS])


def texts(pattern: str, count: int) -> Iterator[bytes]:
    """So many statements, each for the first time."""
    return (pattern.format(f"t{number:05}").encode() for number in range(count))


def _times(step: Callable[[bytes], object], statements: Iterator[bytes]) -> dict[str, float]:
    """Microseconds for one statement."""
    spent = []
    for sql in statements:
        begun = time.process_time_ns()
        step(sql)
        spent.append((time.process_time_ns() - begun) / 1000)
    return {"median": statistics.median(spent), "least": min(spent)}


def measure(options: ClassifierOptions) -> dict[str, dict[str, dict[str, float]]]:
    """By size and step."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    gc.freeze()
    for name, pattern in (("100 characters", SHORT), ("650 characters", LONG)):
        say(f"statements of {name}")
        classifier = Classifier(reach())
        known = next(texts(pattern, 1))
        assert classifier.reading(known).is_cacheable
        figures[name] = {
            "reading, a miss": _times(Classifier(reach()).reading, texts(pattern, options.statements)),
            "writing, a miss": _times(Classifier(reach()).writing, texts(pattern, options.statements)),
            "both, of one text": _times(_both(Classifier(reach())), texts(pattern, options.statements)),
            "reading, a hit": _times(classifier.reading, (known for _ in range(options.statements))),
        }
    return figures


def _both(classifier: Classifier) -> Callable[[bytes], object]:
    return lambda sql: (classifier.reading(sql), classifier.writing(sql))


def table_of(figures: dict[str, dict[str, dict[str, float]]], options: ClassifierOptions) -> Table:
    """A row for each step, a column for each size."""
    table = Table(f"CPU in µs a statement, median and least of {options.statements}", HEADS)
    for step in figures[HEADS[1]]:
        cells = (figures[size][step] for size in HEADS[1:])
        table.add(step, *(f"{cell['median']:.1f} ({cell['least']:.1f})" for cell in cells))
    over = [size for size in HEADS[1:] if figures[size]["reading, a miss"]["median"] > TARGETS_US[size]]
    aims = " and ".join(f"{aim:.0f} µs" for aim in TARGETS_US.values())
    table.notes.append(f"A miss is to cost at most {aims}; over: {', '.join(over) or 'none'}.")
    return table


def run(options: ClassifierOptions) -> None:
    """Measure and print."""
    about = machine.tell_alone()
    figures = measure(options)
    print(table_of(figures, options).text())
    save({"benchmark": "classifier", "machine": about, "targets_us": TARGETS_US, "sizes": figures}, options.json_file)
