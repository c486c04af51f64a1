"""Which configurations have one database."""

import attrs
import msgspec
import pytest

from regional.cache.neighbours import Neighbours, have_one_database
from regional.configuration import Address, Caching, Configuration, Origin
from tests.regional.samples import configuration


@attrs.define
class Cache:
    database: str = ""


@attrs.define
class Knowledge:
    cache: Cache = attrs.field(factory=Cache)


@attrs.define(eq=False)
class Tenant:
    configuration: Configuration
    is_withdrawn: bool = False
    knowledge: Knowledge = attrs.field(factory=Knowledge)


def tenant(host: str, database: str = "app", known: str = "", **changes: object) -> Tenant:
    made = configuration(origin=Origin(host=host, database=database, user="u"))
    return Tenant(msgspec.structs.replace(made, **changes), knowledge=Knowledge(Cache(known)))


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        (tenant("a"), tenant("a"), True),
        (tenant("a", known="1"), tenant("a", known="2"), True),
        (tenant("a"), tenant("a", "another"), False),
        (tenant("a", known="1"), tenant("b", known="1"), True),
        (tenant("a", known="1"), tenant("b", "by another name", known="1"), True),
        (tenant("a", known="1"), tenant("b", known="2"), False),
        (tenant("a", known="1"), tenant("b"), True),
        (tenant("a"), tenant("b"), True),
        (tenant("a"), tenant("b", "another"), False),
    ],
)
def test_what_is_not_known_to_be_another_is_the_same(one: Tenant, other: Tenant, *, is_one: bool) -> None:
    assert have_one_database(one, other) is is_one
    assert have_one_database(other, one) is is_one
    assert have_one_database(one, one)


def test_an_address_in_common_is_enough() -> None:
    one, other = tenant("a", known="1"), tenant("b", known="2")
    origin = msgspec.structs.replace(other.configuration.origin, alternates=(Address(host="a"),))
    other.configuration = msgspec.structs.replace(other.configuration, origin=origin)
    assert have_one_database(one, other)


def test_what_is_looked_up_is_what_two_say_of_each_other() -> None:
    members = [
        tenant(host, database, known)
        for host in ("a", "b", "c")
        for database in ("app", "another")
        for known in ("", "1", "2")
    ]
    neighbours = Neighbours(lambda: members)
    for one in members:
        assert list(neighbours.of(one)) == [other for other in members if have_one_database(one, other)]
    late = tenant("a", known="1")
    members.append(late)
    assert late not in neighbours.of(members[0])
    neighbours.changed()
    assert neighbours.of(members[0])[-1] is late


def test_only_those_that_cache_and_are_there_hear_of_it() -> None:
    off = Caching(disabled=True)
    members = [tenant("a"), tenant("a", caching=off), tenant("a"), tenant("b", "another")]
    members[2].is_withdrawn = True
    neighbours = Neighbours(lambda: members)
    assert neighbours.that_cache(members[0]) == (members[0],)
    assert neighbours.that_cache(members[1]) == (members[0],), "a write of one that does not cache concerns it"
    assert neighbours.that_cache(members[2]) == (members[0],), "so does that of one that is going"
    assert neighbours.that_cache(members[3]) == (members[3],)
