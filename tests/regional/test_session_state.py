"""What is asked of a connection about its session, and what follows from the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.pg.messages import error_response
from regional.exchange import Exchange
from regional.names_query import MAX_FOUND
from regional.profile import Profile
from regional.residue import Residue
from regional.session_state import MAX_NAMES, Harvest, NamesSeen, harvest_sql, notices, read, refusal

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,10}(\.[a-z_][a-z0-9_]{0,10}){1,2}", fullmatch=True)


def answer(*rows: list[bytes | None]) -> Exchange:
    return Exchange(lambda _: None, rows=list(rows))


def harvest(**settings: str) -> Harvest:
    return Harvest({"role": "none", "session_authorization": "login", **settings}, {})


def applied(found: Harvest, startup: dict[str, str] | None = None, before: dict[str, str] | None = None) -> Profile:
    return found.applied_to(startup or {}, before or {}, "login")


@given(NAMES)
def test_names_are_seen_in_statements_about_settings(name: str) -> None:
    for text in (f"set {name} = 1", f"select set_config('{name}', '', true)", f"select current_setting('{name}')"):
        seen = NamesSeen()
        seen.see(text.encode())
        assert name in list(seen)


def test_other_statements_cost_nothing() -> None:
    seen = NamesSeen()
    seen.see(b"select a.b from a")
    assert not len(seen)
    seen.see(b"\0app.user\0", always=True)
    assert list(seen) == ["app.user"]


def test_a_name_that_is_told_to_a_function_is_seen() -> None:
    seen = NamesSeen()
    seen.see(b"select remember('app.user', 'a.b c') from a.b")
    assert list(seen) == ["app.user"]


def test_their_number_is_bounded_and_the_latest_stay() -> None:
    seen = NamesSeen()
    for number in range(MAX_NAMES + 10):
        seen.see(b"set app.x%d = 1" % number)
    assert len(seen) == MAX_NAMES
    assert list(seen)[-1] == f"app.x{MAX_NAMES + 9}"


def test_what_the_catalogue_names_is_renewed_with_it_and_bounded() -> None:
    seen = NamesSeen()
    seen.see(b"set app.mine = 1")
    assert not seen.knows_catalog
    seen.found([b"app.theirs", b"\x24\0\0\0app.default", b"pg_catalog.int4", b"plain"])
    assert list(seen) == ["app.mine", "app.theirs", "app.default"]
    seen.found(b"app.x%d" % number for number in range(MAX_FOUND + 10))
    assert len(seen) == 1 + MAX_FOUND
    seen.forget_catalog()
    assert list(seen) == ["app.mine"]
    assert not seen.knows_catalog


def test_the_question_quotes_its_names() -> None:
    assert b"'app.user'" in harvest_sql(["app.user"], pins=False)
    assert b"pg_listening_channels" not in harvest_sql([], pins=False)
    assert b"pg_listening_channels" in harvest_sql([], pins=True)


def test_an_answer_is_read() -> None:
    found = read(
        answer([b"set", b"DateStyle", b"ISO, DMY".hex().encode()], [b"set", b"app.x", None], [b"held", b"LISTEN", b"2"])
    )
    assert found.settings == {"datestyle": "ISO, DMY"}
    assert found.holds == ["LISTEN"]


@pytest.mark.parametrize(
    "row",
    [[b"set", b"a", b"zz"], [b"set", b"a", b"ff"], [b"held", b"a", b"x"], [None, b"a", b""], [b"set", b"\xff", b""]],
)
def test_another_answer_is_none(row: list[bytes | None]) -> None:
    with pytest.raises(ValueError):
        read(answer(row))


def test_an_error_is_no_answer() -> None:
    with pytest.raises(ValueError, match="out of memory"):
        read(Exchange(lambda _: None, error=error_response({"S": "ERROR", "C": "53200", "M": "out of memory"})))


def test_what_is_set_is_kept_and_what_is_reset_is_as_at_the_start() -> None:
    assert applied(harvest()) is Profile.of(())
    assert applied(harvest(work_mem="7168")) is Profile.of([("work_mem", "7168")])
    assert applied(harvest(), {"work_mem": "8MB"}, {"work_mem": "7168"}) is Profile.of([("work_mem", "8MB")])
    assert applied(harvest(search_path="")) is Profile.of([("search_path", "")])


def test_an_empty_parameter_of_the_applications_counts_where_it_was_known() -> None:
    assert applied(harvest(**{"app.x": ""})) is Profile.of(())
    empty = Profile.of([("app.x", "")])
    assert applied(harvest(**{"app.x": ""}), before={"app.x": "1"}) is empty
    assert applied(harvest(**{"app.x": ""}), startup={"app.x": "1"}) is empty, (
        "a tenant that was left is not taken again"
    )


def test_identities_are_kept_unless_they_are_the_logins() -> None:
    assert applied(harvest(role="other")) is Profile.of([("role", "other")])
    assert applied(harvest(session_authorization="other")) is Profile.of([("session_authorization", "other")])
    assert applied(harvest(), startup={"role": "other"}) is Profile.of([("role", "none")]), (
        "SET ROLE NONE in a session that began with a role"
    )


@pytest.mark.parametrize("asked", [Residue.TAKES_LOCK, Residue.LISTENS, Residue.HOLDS])
def test_what_needs_a_connection_of_its_own_is_refused_unless_there_is_one(asked: Residue) -> None:
    assert refusal(asked | Residue.LOCKS, "pin", is_alone=True) is None
    for is_alone in (True, False):
        assert refusal(asked, "track", is_alone=is_alone) is not None
        assert refusal(asked, "reset", is_alone=is_alone) is not None


def test_only_reset_refuses_what_it_would_forget_and_only_where_it_would() -> None:
    assert refusal(Residue.CHANGES_MEANING, "reset", is_alone=True) is not None
    assert refusal(Residue.CHANGES_MEANING, "reset", is_alone=False) is None
    assert refusal(Residue.CHANGES_MEANING, "track", is_alone=True) is None
    assert refusal(Residue.DISCARD, "reset", is_alone=True) is None


def test_a_notice_is_given_once() -> None:
    told: set[Residue] = set()
    assert b"temporary tables" in notices(Residue.MAKES_TEMPORARY, "track", told)
    assert notices(Residue.MAKES_TEMPORARY, "track", told) == b""
    assert b"PREPARE" in notices(Residue.PREPARES | Residue.MAKES_TEMPORARY, "reset", told)
    assert notices(Residue.MAKES_TEMPORARY, "pin", set()) == b""
