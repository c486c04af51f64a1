"""Connection strings are read as libpq reads them; what is wrong with one is said without quoting it."""

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regional.configuration import Address, InvalidConfigurationError
from regional.origin_url import OriginUrlError, parse_origin, redacted, refuse_malformed

PEM = "-----BEGIN CERTIFICATE-----"
PRINTABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=10)


def test_the_usual_string() -> None:
    url = parse_origin("postgres://app:s3cret@db.example:6000/shop?sslmode=verify-full&connect_timeout=7")
    assert (url.origin.host, url.origin.port, url.origin.database, url.origin.user) == (
        "db.example",
        6000,
        "shop",
        "app",
    )
    assert (url.origin.sslmode, url.secret.password, url.connect_timeout_s) == ("verify-full", "s3cret", 7.0)


@given(user=PRINTABLE, password=PRINTABLE, database=PRINTABLE)
def test_percent_encoded_parts_come_back(user: str, password: str, database: str) -> None:
    url = parse_origin(f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@h/{quote(database, safe='')}")
    assert (url.origin.user, url.secret.password, url.origin.database) == (user, password, database)


@pytest.mark.parametrize(
    ("place", "addresses"),
    [
        ("h", ["h:5432"]),
        ("h:", ["h:5432"]),
        ("[::1]:77", ["[::1]:77"]),
        ("[::1]", ["[::1]:5432"]),
        ("a:1,b:2,c", ["a:1", "b:2", "c:5432"]),
    ],
)
def test_hosts(place: str, addresses: list[str]) -> None:
    assert [str(a) for a in parse_origin(f"postgres://u:p@{place}/d").origin.addresses] == addresses


@pytest.mark.parametrize(
    "url", ["postgres://u@%2Frun%2Fpg/d", "postgres://u@/d?host=/run/pg", "postgres:///d?user=u&host=/run/pg"]
)
def test_unix_sockets_need_no_tls(url: str) -> None:
    origin = parse_origin(url).origin
    assert (origin.addresses, origin.sslmode) == ((Address(host="/run/pg"),), "disable")


def test_parameters_replace_parts_as_in_libpq() -> None:
    origin = parse_origin("postgres://u@h/d?host=a,b&port=1,2&dbname=x&user=y&password=z").origin
    assert [str(a) for a in origin.addresses] == ["a:1", "b:2"]
    assert (origin.database, origin.user) == ("x", "y")
    assert [str(a) for a in parse_origin("postgres://u@h/d?host=a,b&port=9").origin.addresses] == ["a:9", "b:9"]


def test_the_database_is_the_users_name_where_none_is_given() -> None:
    assert parse_origin("postgres://u:p@h").origin.database == "u"


def test_a_password_may_hold_what_libpq_lets_it_hold() -> None:
    assert parse_origin("postgres://u:a#b?c:d@h/d").secret.password == "a#b?c:d"


def test_files_are_read_by_the_caller_only() -> None:
    string = "postgres://u:p@h/d?sslrootcert=ca.pem&sslcert=c.pem&sslkey=k.pem"
    url = parse_origin(string, read_file=lambda path: f"{PEM} {path}")
    assert (url.origin.sslrootcert, url.origin.sslcert) == (f"{PEM} ca.pem", f"{PEM} c.pem")
    assert url.secret.client_key == f"{PEM} k.pem"
    assert url.origin.sslmode == "verify-full"  # who names an authority wants the host verified
    with pytest.raises(OriginUrlError, match=r"origin\.sslrootcert"):
        parse_origin(string)


def test_a_file_that_cannot_be_read_is_named_by_its_parameter() -> None:
    def refuse(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", path)

    with pytest.raises(OriginUrlError, match="sslrootcert a file that cannot be read: No such file"):
        parse_origin("postgres://u:p@h/d?sslrootcert=ca.pem", read_file=refuse)


def test_system_authorities_mean_verification() -> None:
    origin = parse_origin("postgres://u:p@h/d?sslrootcert=system").origin
    assert (origin.sslrootcert, origin.sslmode) == (None, "verify-full")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:p@h/d", "must begin with postgres://"),
        ("h/d", "must begin with postgres://"),
        ("postgres://:p@h/d", "names no user"),
        ("postgres://h/d", "names no user"),
        ("postgres://u:p@/d", "names no host"),
        ("postgres://u:p@a,,b/d", "names no host"),
        ("postgres://u:p@h:0/d", "a port that is no number"),
        ("postgres://u:p@h:99999999999/d", "a port that is no number"),
        ("postgres://u:p@a,b,c/d?port=1,2", "ports"),
        ("postgres://u:p@[::1/d", "IPv6"),
        ("postgres://u:p@h/d?sslmode=prefer", "use require"),
        ("postgres://u:p@h/d?sslmode=no-verify", "use require"),
        ("postgres://u:p@h/d?sslmode=verify", "use one of disable"),
        ("postgres://u:p@h/d?target_session_attrs=master", "use one of any"),
        ("postgres://u:p@h/d?application_name=x", "clients of the edge give their own"),
        ("postgres://u:p@h/d?channel_binding=require", "leave it out"),
        ("postgres://u:p@h/d?frobnicate=1", "frobnicate, which is not known here"),
        ("postgres://u:p@h/d?connect_timeout=0", "connect_timeout"),
        ("postgres://u:p@h/d?x", "NAME=VALUE"),
        ("postgres://u:p@h/d e", "blanks"),
        ("postgres://u%00:p@h/d", "zero byte"),
        ("postgres://u%ff:p@h/d", "UTF-8"),
        ("postgres://u:p@h/d?sslmode=verify-ca", "verify-full"),
    ],
)
def test_what_is_wrong_is_said_with_a_cure(url: str, message: str) -> None:
    with pytest.raises(InvalidConfigurationError, match=message):
        parse_origin(url)


@pytest.mark.parametrize(
    "parameter", ["gssencmode=disable", "channel_binding=prefer", "ssl=true", "sslnegotiation=postgres"]
)
def test_harmless_parameters_of_providers_pass(parameter: str) -> None:
    assert parse_origin(f"postgres://u:p@h/d?{parameter}").origin.sslmode == "require"


@pytest.mark.parametrize("character", ["@", "/", "%", "%zz", " ", "\n", ":", "?", "&", "[", ",", "/:@"])
@pytest.mark.parametrize("form", ["postgres://user:{}@db.example/d", "postgres://user:{}@db.example:5432/d?sslmode=x"])
def test_an_error_never_shows_a_password_that_lacks_encoding(character: str, form: str) -> None:
    half, other = "hunterhalf", "otherhalf"
    url = form.format(half + character + other)
    shown = redacted(url)
    for read in (parse_origin, refuse_malformed):
        with suppress(InvalidConfigurationError):
            read(url)
            continue
        with pytest.raises(InvalidConfigurationError) as caught:
            read(url)
        assert caught.value.__cause__ is None
        shown += str(caught.value)
    assert half not in shown
    assert other not in shown


@given(st.text(max_size=60))
def test_garbage_raises_only_our_error(text: str) -> None:
    for url in (text, "postgres://" + text, "postgres://u:p@" + text, "postgres://u:p@h/d?" + text):
        with suppress(InvalidConfigurationError):
            parse_origin(url)


def test_plain_origins_are_a_question_for_the_pool_node() -> None:
    url = "postgres://u:p@db.example/d?sslmode=disable"
    assert parse_origin(url).origin.sslmode == "disable"
    with pytest.raises(InvalidConfigurationError, match="--allow-plain-origin"):
        parse_origin(url, allow_plain_origin=False)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h:1/d?password=x", "postgresql://h:1/d"),
        ("postgresql://u:p/@h/d", "postgresql://h/d"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("postgresql://u:p?p@h/d", "postgresql://…"),
        ("password", "(not a URL)"),
    ],
)
def test_a_redacted_url_shows_the_place_alone(url: str, shown: str) -> None:
    assert redacted(url) == shown
