"""Speaking to the admin endpoint."""

import socket
from pathlib import Path

import pytest

from deploy.admin_client import AdminClient, configuration_path, found_token, given_token, open_client
from deploy.complaint import CommandError, WrongUseError
from deploy.dev_command import free_port
from regional.admin.token import make_token
from tests.deploy.fake_admin import TOKEN, FakeAdmin


def test_a_request_carries_the_token_and_brings_the_answer(admin: FakeAdmin) -> None:
    admin.answer("POST", "/v1/x", {"made": 1})
    assert open_client(admin.url).request("POST", "/x", {"a": "ä"}) == {"made": 1}
    assert admin.asked[0].authorization == f"Bearer {TOKEN}"
    assert admin.asked[0].body == {"a": "ä"}


def test_the_token_is_the_files_then_the_variables_then_the_one_found(
    admin: FakeAdmin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(admin.url.rpartition(":")[2])
    made = make_token(port)
    (tmp_path / "token").write_text("from-file\n")
    assert open_client(admin.url, token_file=str(tmp_path / "token")).token == "from-file"
    assert open_client(admin.url).token == TOKEN
    monkeypatch.delenv("ONETRIP_ADMIN_TOKEN")
    assert open_client(admin.url).token == made


def test_a_token_of_this_machine_is_not_for_another() -> None:
    make_token(6433)
    assert found_token("10.0.0.1", 6433) is None


def test_a_token_goes_nowhere_in_clear() -> None:
    with pytest.raises(WrongUseError):
        open_client("http://pool.example.net:6433")


def test_proxies_of_the_environment_are_left_aside(admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    admin.answer("GET", "/v1/status", {})
    assert open_client(admin.url).request("GET", "/status") == {}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(409, "exists", CommandError), (502, "origin_refused", CommandError), (422, "invalid", WrongUseError)],
)
def test_the_endpoints_errors_keep_what_and_get_a_cure_for_who_types(
    admin: FakeAdmin, status: int, code: str, kind: type[CommandError]
) -> None:
    admin.refuse("GET", "/v1/x", status, code)
    with pytest.raises(CommandError) as caught:
        open_client(admin.url).request("GET", "/x")
    assert type(caught.value) is kind
    assert caught.value.what == f"it is {code}"
    assert caught.value.cure


def test_a_missing_and_a_wrong_token_are_told_apart(admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONETRIP_ADMIN_TOKEN", "other")
    with pytest.raises(CommandError, match="does not accept"):
        open_client(admin.url).request("GET", "/x")
    monkeypatch.delenv("ONETRIP_ADMIN_TOKEN")
    with pytest.raises(CommandError, match="no token"):
        open_client(admin.url).request("GET", "/x")


def test_nobody_there_and_somebody_else_there_are_said() -> None:
    with pytest.raises(CommandError, match="no admin endpoint answers"):
        AdminClient(host="127.0.0.1", port=free_port("127.0.0.1")).request("GET", "/x")


def test_what_answers_something_else_is_no_endpoint(admin: FakeAdmin) -> None:
    for status in (200, 500):
        admin.answer("GET", "/v1/x", b"<html>", status)
        with pytest.raises(CommandError, match="no admin endpoint"):
            open_client(admin.url).request("GET", "/x")


def test_a_silent_endpoint_is_not_waited_for_forever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = AdminClient(host="127.0.0.1", port=silent.getsockname()[1])
        with pytest.raises(CommandError, match="no answer in time"):
            client.request("GET", "/x", timeout_s=0.05)


@pytest.mark.parametrize("url", ["http://u:p@127.0.0.1:1", "http://127.0.0.1:x", "http:///x", "http://h:1?x"])
def test_what_is_no_endpoint_is_wrong_use_and_not_quoted(url: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        open_client(url)
    assert url not in str(caught.value)


def test_an_address_alone_is_plain_http() -> None:
    assert open_client("127.0.0.1:7000").url == "http://127.0.0.1:7000"
    assert open_client("http://[::1]:7000/at/").url == "http://[::1]:7000/at"


def test_a_token_file_that_cannot_be_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "words").write_text("two words")
    (tmp_path / "bytes").write_bytes(b"\xff")
    for name in ("empty", "words", "bytes", "none"):
        with pytest.raises(CommandError):
            given_token(str(tmp_path / name))


def test_a_token_is_not_shown() -> None:
    assert "hush" not in repr(AdminClient(host="h", port=1, token="hush"))


def test_a_name_cannot_lead_elsewhere() -> None:
    assert configuration_path("../x", "rotate") == "/configurations/..%2Fx/rotate"
