"""Django 5 on psycopg 3, with settings that name the database and nothing else."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import django
from django.conf import settings
from django.db import connection, models, transaction

from bench.driver_scripts.stage import SCRIPTS, TABLE


@cache
def _thing(url: str) -> Any:
    """Set Django up, once in a process, and make the model of a row."""
    parts = urlsplit(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.removeprefix("/"),
        "USER": parts.username,
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port,
        "OPTIONS": {"sslmode": parse_qs(parts.query).get("sslmode", ["prefer"])[0]},
    }
    settings.configure(DATABASES={"default": database})
    django.setup()

    class Thing(models.Model):  # type: ignore[misc]  # Django has no types
        """A row."""

        id = models.IntegerField(primary_key=True)
        word = models.TextField()
        seen = models.IntegerField()

        class Meta:
            """Whose row it is."""

            app_label = "driver_scripts"
            db_table = TABLE
            managed = False

    return Thing


class Django:
    """The models' own words. Without a pool it closes the connection at the end of each request."""

    scripts = SCRIPTS

    def __init__(self, url: str) -> None:
        self.thing = _thing(url)
        self.things = self.thing.objects

    def connect(self) -> None:
        connection.ensure_connection()

    def word(self, number: int) -> str:
        return str(self.things.get(pk=number).word)

    def seen(self, first: int, last: int) -> int:
        return int(self.things.filter(pk__range=(first, last)).aggregate(least=models.Min("seen"))["least"])

    def transaction(self, number: int, value: int) -> str:
        with transaction.atomic():
            word = self.word(number)
            self.things.filter(pk=number).update(seen=value)
        return word

    def batch(self, numbers: Sequence[int], value: int) -> None:
        self.things.bulk_update([self.thing(pk=number, seen=value) for number in numbers], ["seen"])

    def orm(self, number: int, value: int) -> str:
        with transaction.atomic():
            thing = self.things.get(pk=number)
            thing.seen = value
            thing.save()
        return str(thing.word)

    def release(self) -> None:
        """Nothing: the request's end closes the connection."""

    def close(self) -> None:
        connection.close()
