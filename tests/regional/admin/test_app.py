"""The API as its callers meet it: over real HTTP, on Hypercorn, under trio."""

import re
import socket

import attrs
import msgspec
import pytest
import trio
from structlog.testing import capture_logs

from protos.errors import NotReadyError, OriginRefusedError
from regional.admin.app import MAX_BODY_BYTES
from regional.configuration import Caching
from regional.control import Status
from regional.store import StoreUnavailableError
from tests.regional.admin.fakes import STATUS, TOKEN, serving

ONE = "/v1/configurations/demo"
HEAD = (
    b"POST /v1/configurations HTTP/1.1\r\nHost: x\r\n"
    b"Authorization: Bearer " + TOKEN.encode() + b"\r\nContent-Length: 9\r\n\r\n"
)


async def test_a_created_configuration_answers_with_its_connection_string() -> None:
    async with serving() as caller:
        answer = await caller.create(origin_connection_limit=50, caching={"disabled": True})
        assert answer.status == 201
        assert answer.headers["cache-control"] == "no-store"
        made = answer.json
        assert re.fullmatch(r"postgres://ot_[a-z0-9]{12}:[A-Za-z0-9_-]{32}@EDGE/demo", made["connection_string"])
        assert made["connection_string"] == f"postgres://{made['user']}:{made['password']}@EDGE/demo"
        assert (made["linked"], made["acknowledged"]) == (2, 1)
        assert made["configuration"]["origin_connection_limit"] == 50
        assert made["configuration"]["caching"] == msgspec.to_builtins(Caching(disabled=True))
        assert made["configuration"]["server_parameters"] == {"server_version": "17.2"}
        ((published, secret),) = caller.control.published
        assert (published.name, secret.password) == ("demo", "hunter2")
        assert caller.vault.get("demo") == (published, secret)


async def test_no_answer_holds_what_is_write_only() -> None:
    async with serving() as caller:
        made = (await caller.create()).json
        verifier = caller.vault.get("demo").configuration.verifier
        for method, path, body in (
            ("GET", ONE, None),
            ("GET", "/v1/configurations", None),
            ("PATCH", ONE, {"max_waiters": 1}),
            ("GET", "/v1/status", None),
            ("GET", "/metrics", None),
            ("POST", ONE + "/restart", {}),
            ("POST", ONE + "/purge", {}),
            ("DELETE", ONE, None),
        ):
            answer = await caller.request(method, path, body)
            assert answer.status == 200
            for secret in ("hunter2", made["password"], verifier):
                assert secret.encode() not in answer.content


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/v1/configurations", "GET"),
        ("/v1/configurations", "POST"),
        (ONE, "DELETE"),
        ("/v1/status", "GET"),
        ("/metrics", "GET"),
        ("/nothing", "GET"),
    ],
)
async def test_nothing_is_told_or_done_without_the_token(path: str, method: str) -> None:
    async with serving() as caller:
        await caller.create()
        for token, headers in (
            (None, {}),
            ("wrong", {}),
            (TOKEN + "x", {}),
            (None, {"Authorization": f"Basic {TOKEN}"}),
        ):
            answer = await caller.request(method, path, {}, token=token, headers=headers)
            assert (answer.status, answer.error["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert caller.vault.get("demo")


async def test_health_needs_no_token_and_readiness_follows_the_node() -> None:
    async with serving() as caller:
        assert (await caller.request("GET", "/livez", token=None)).status == 200
        assert (await caller.request("GET", "/readyz", token=None)).status == 200
        caller.control.present = Status(node="pool-1", ready=False)
        assert (await caller.request("GET", "/readyz", token=None)).status == 503
        assert (await caller.request("GET", "/livez", token=None)).status == 200


async def test_status_and_metrics_show_the_nodes_figures() -> None:
    async with serving() as caller:
        status = (await caller.request("GET", "/v1/status")).json
        assert status["node"] == STATUS.node
        assert status["pools"][0]["cl_waiting"] == 2
        metrics = await caller.request("GET", "/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert b'onetrip_pool_cl_waiting{configuration="demo"} 2\n' in metrics.content


async def test_an_existing_name_is_a_conflict_and_the_origin_is_not_bothered() -> None:
    async with serving() as caller:
        await caller.create()
        answer = await caller.create()
        assert (answer.status, answer.error["code"]) == (409, "exists")
        assert len(caller.control.checked) == 1


async def test_everything_wrong_with_a_request_is_said_at_once() -> None:
    async with serving() as caller:
        body = {
            "name": "Demo",
            "origin": {"user": "u", "pasword": "hunter2"},
            "origin_connection_limit": 3,
            "max_age": 5,
        }
        answer = await caller.request("POST", "/v1/configurations", body)
        assert (answer.status, answer.error["code"]) == (422, "invalid")
        fields = {problem["field"]: problem["what"] for problem in answer.error["problems"]}
        assert fields.keys() == {"name", "origin.host", "origin.pasword", "origin_connection_limit", "max_age"}
        assert fields["origin.pasword"] == "is not known here; did you mean origin.password?"
        assert fields["origin_connection_limit"] == "must be a whole number from 5 to 1500"
        assert "hunter2" not in answer.content.decode()
        assert caller.control.checked == []


async def test_an_origin_that_refuses_is_a_bad_gateway_and_nothing_is_kept() -> None:
    async with serving() as caller:
        caller.control.refusal = OriginRefusedError("db.internal:5432 refused", detail="no user", hint="see to pg_hba")
        answer = await caller.create()
        assert (answer.status, answer.error["code"]) == (502, "origin_refused")
        assert answer.error["what"] == "db.internal:5432 refused (no user)"
        assert answer.error["cure"] == "see to pg_hba"
        assert caller.vault.load() == ([], [])
        assert (await caller.create(check=False)).status == 201


async def test_a_change_touches_what_is_given_and_counts_up() -> None:
    async with serving() as caller:
        await caller.create(max_waiters=7)
        answer = await caller.request("PATCH", ONE, {"origin_connection_limit": 30, "caching": {"max_age": 5}})
        assert answer.status == 200
        changed = answer.json["configuration"]
        assert (changed["origin_connection_limit"], changed["max_waiters"], changed["version"]) == (30, 7, 2)
        assert changed["caching"] == msgspec.to_builtins(Caching(max_age=5))
        assert "password" not in answer.json
        assert len(caller.control.checked) == 1  # the origin is the same
        assert caller.control.published[-1][0].version == 2


async def test_another_origin_is_tested_and_its_password_asked_for() -> None:
    async with serving() as caller:
        await caller.create()
        answer = await caller.request("PATCH", ONE, {"origin": {"host": "elsewhere"}})
        assert [problem["field"] for problem in answer.error["problems"]] == ["origin.password"]
        answer = await caller.request("PATCH", ONE, {"origin": {"host": "elsewhere", "password": "new"}})
        assert answer.status == 200
        configuration, secret = caller.control.checked[-1]
        assert (configuration.origin.host, configuration.origin.database, secret.password) == (
            "elsewhere",
            "shop",
            "new",
        )


async def test_a_change_made_from_an_older_version_is_refused() -> None:
    async with serving() as caller:
        await caller.create()
        assert (await caller.request("PATCH", ONE, {"version": 1, "max_waiters": 1})).status == 200
        answer = await caller.request("PATCH", ONE, {"version": 1, "max_waiters": 2})
        assert (answer.status, answer.error["code"]) == (409, "stale")


async def test_a_change_overtaken_during_its_test_loses_neither_change() -> None:
    async with serving() as caller:
        await caller.create()

        async def overtake() -> None:
            caller.control.during_check = trio.lowlevel.checkpoint
            assert (await caller.request("PATCH", ONE, {"max_waiters": 3})).status == 200

        for given, status in (({}, 200), ({"version": 3}, 409)):
            caller.control.during_check = overtake
            answer = await caller.request("PATCH", ONE, {"origin": {"database": f"other{status}"}, **given})
            assert answer.status == status
            await caller.request("PATCH", ONE, {"max_waiters": 4})
        kept = caller.vault.get("demo").configuration
        assert (kept.origin.database, kept.max_waiters) == ("other200", 4)


async def test_rotation_makes_another_password_for_the_same_user() -> None:
    async with serving() as caller:
        made = (await caller.create()).json
        before = caller.vault.get("demo").configuration
        answer = await caller.request("POST", ONE + "/rotate", {"edge": "edge.example:6432"})
        rotated = answer.json
        assert (answer.status, rotated["user"]) == (200, made["user"])
        assert rotated["password"] != made["password"]
        assert rotated["connection_string"].endswith("@edge.example:6432/demo")
        after = caller.vault.get("demo").configuration
        assert (after.credentials_version, after.version) == (2, 2)
        assert after.verifier != before.verifier
        assert (await caller.request("POST", ONE + "/rotate")).status == 200
        assert (await caller.request("POST", ONE + "/rotate", {"edge": "no port"})).status == 422


async def test_a_deleted_configuration_is_withdrawn_and_gone() -> None:
    async with serving() as caller:
        await caller.create()
        answer = await caller.request("DELETE", ONE)
        assert (answer.status, answer.json) == (200, {"name": "demo", "linked": 2, "acknowledged": 1})
        assert caller.control.withdrawn == ["demo"]
        for method, path in (("GET", ONE), ("DELETE", ONE), ("POST", ONE + "/rotate"), ("POST", ONE + "/restart")):
            assert (await caller.request(method, path)).error["code"] == "not_found"


async def test_a_name_that_comes_back_is_another_configuration() -> None:
    async with serving() as caller:
        await caller.create()
        first = (await caller.request("POST", ONE + "/rotate")).json["configuration"]
        await caller.request("DELETE", ONE)
        second = (await caller.create()).json["configuration"]
        assert second["id"] != first["id"]
        # An edge that was away in between must not take the later for the older, nor its sessions for still valid.
        assert second["version"] > first["version"] + 1
        assert second["credentials_version"] > first["credentials_version"]


async def test_a_restart_reaches_the_node() -> None:
    async with serving() as caller:
        await caller.create()
        assert (await caller.request("POST", ONE + "/restart")).json == {"name": "demo"}
        assert caller.control.restarted == ["demo"]
        caller.control.refusal = NotReadyError("draining")
        answer = await caller.request("POST", ONE + "/restart")
        assert (answer.status, answer.error["what"]) == (503, "draining")


async def test_a_purge_says_what_it_was_about_and_how_many_edges_were_told() -> None:
    async with serving() as caller:
        await caller.create()
        assert (await caller.request("POST", ONE + "/purge")).json == {"name": "demo", "table": None, "edges": 2}
        answer = await caller.request("POST", ONE + "/purge", {"table": "public.orders"})
        assert answer.json == {"name": "demo", "table": "public.orders", "edges": 2}
        assert caller.control.purged == [("demo", None), ("demo", "public.orders")]


async def test_what_cannot_be_purged_is_said() -> None:
    async with serving() as caller:
        await caller.create()
        missing = await caller.request("POST", ONE + "/purge", {"table": "nowhere"})
        assert (missing.status, missing.error["code"]) == (404, "no_table")
        assert missing.error["what"] == "the database of configuration demo has no table nowhere"
        for body in ({"table": "a.b.c"}, {"table": 5}, {"tables": "a"}):
            wrong = await caller.request("POST", ONE + "/purge", body)
            assert (wrong.status, wrong.error["code"]) == (422, "invalid")
            assert wrong.error["problems"][0]["field"] == next(iter(body))
        other = await caller.request("POST", "/v1/configurations/other/purge")
        assert (other.status, other.error["code"]) == (404, "not_found")
        assert caller.control.purged == []


async def test_damaged_records_are_listed_and_can_be_deleted() -> None:
    async with serving() as caller:
        await caller.create()
        await caller.create("other")
        store = caller.vault._store
        record = store.get("demo")
        assert record is not None
        store.delete("demo")
        store.create(attrs.evolve(record, document=record.document.replace(b"db.internal", b"evil.nowhere")))
        listed = (await caller.request("GET", "/v1/configurations")).json
        assert [configuration["name"] for configuration in listed["configurations"]] == ["other"]
        assert [broken["name"] for broken in listed["broken"]] == ["demo"]
        answer = await caller.request("GET", ONE)
        assert (answer.status, answer.error["code"]) == (500, "tampered")
        assert (await caller.create()).error["code"] == "tampered"
        assert (await caller.request("DELETE", ONE)).status == 200
        assert (await caller.create()).status == 201


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"hunter2"', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused_without_being_quoted(body: bytes) -> None:
    async with serving() as caller:
        answer = await caller.request("POST", "/v1/configurations", body)
        assert (answer.status, answer.error["code"]) == (400, "not_json")
        assert b"hunter2" not in answer.content


async def test_a_body_is_bounded() -> None:
    async with serving() as caller:
        answer = await caller.request("POST", "/v1/configurations", b" " * (MAX_BODY_BYTES + 1))
        assert (answer.status, answer.error["code"]) == (413, "too_large")


async def test_a_body_that_does_not_come_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regional.admin.app.BODY_TIMEOUT_S", 0.05)
    async with serving() as caller:
        stream = await trio.open_tcp_stream("127.0.0.1", caller.port)
        async with stream:
            await stream.send_all(HEAD)
            with trio.fail_after(10):
                answer = await stream.receive_some()
        assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nothing", 404, "not_found"), ("PUT", ONE, 405, "method_not_allowed"), ("GET", ONE, 404, "not_found")],
)
async def test_what_is_not_there_has_the_same_shape(method: str, path: str, status: int, code: str) -> None:
    async with serving() as caller:
        answer = await caller.request(method, path)
        assert (answer.status, answer.error["code"]) == (status, code)
        assert answer.error["cure"]


@pytest.mark.parametrize("name", ["%00", "a%2Fb", "%20", "x" * 200, "..%2f..", "%F0%9F%98%80"])
async def test_an_odd_name_is_not_found(name: str) -> None:
    async with serving() as caller:
        assert (await caller.request("GET", f"/v1/configurations/{name}")).status == 404


async def test_the_unforeseen_is_logged_once_and_not_told() -> None:
    async with serving() as caller:
        caller.control.refusal = RuntimeError("something with hunter3 in it")
        with capture_logs() as logs:
            answer = await caller.create()
        assert (answer.status, answer.error["code"]) == (500, "internal")
        assert b"hunter3" not in answer.content
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [("error", "admin request failed")]


async def test_a_store_that_is_away_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as caller:

        def away() -> None:
            raise StoreUnavailableError("the store does not answer")

        monkeypatch.setattr(caller.vault, "load", away)
        answer = await caller.request("GET", "/v1/configurations")
        assert (answer.status, answer.error["code"]) == (503, "store_unavailable")


async def test_no_log_holds_a_secret() -> None:
    async with serving() as caller:
        with capture_logs() as logs:
            made = (await caller.create()).json
            rotated = (await caller.request("POST", ONE + "/rotate")).json
            caller.control.refusal = OriginRefusedError("refused")
            await caller.request("PATCH", ONE, {"origin": {"password": "hunter4"}})
            await caller.request("DELETE", ONE)
        text = repr(logs)
        assert len(logs) == 4
        for secret in ("hunter2", "hunter4", made["password"], rotated["password"], TOKEN):
            assert secret not in text


async def test_a_client_that_leaves_in_the_middle_of_its_body_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as caller:
        with capture_logs() as logs:
            with socket.create_connection(("127.0.0.1", caller.port)) as connection:
                connection.sendall(HEAD + b"{")
            assert (await caller.create()).status == 201
        assert [entry["event"] for entry in logs] == ["configuration created"]
    assert caplog.text == ""
