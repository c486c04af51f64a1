"""How programs are told where to connect."""

from bench.endpoint import Endpoint

ENDPOINT = Endpoint(host="127.0.0.1", port=6432, user="u", password="hidden", database="d", sslmode="require")


def test_the_password_is_in_what_programs_read_and_in_no_repr() -> None:
    assert "password=hidden" in ENDPOINT.conninfo()
    assert ENDPOINT.environment()["PGPASSWORD"] == "hidden"
    assert "hidden" not in repr(ENDPOINT)


def test_both_forms_say_the_same() -> None:
    words = dict(word.split("=") for word in ENDPOINT.conninfo().split())
    environment = ENDPOINT.environment()
    assert (words["host"], words["port"], words["dbname"]) == ("127.0.0.1", "6432", "d")
    assert words["sslmode"] == environment["PGSSLMODE"] == "require"
    assert words["gssencmode"] == environment["PGGSSENCMODE"] == "disable"
