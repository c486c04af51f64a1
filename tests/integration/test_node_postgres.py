"""node-postgres (`pg` from npm): conversations held by node/conversation.mjs, judged here."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.target import Target

FOLDER: Final = Path(__file__).with_name("node")
TIMEOUT_S: Final = 40.0


@pytest.fixture(scope="session")
def node() -> str:
    """The program, where it and the driver are there."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is missing")
    if not (FOLDER / "node_modules" / "pg").is_dir():
        pytest.skip("node-postgres is missing: `make test` installs it where npm is there")
    return program


def converse(node: str, target: Target, conversation: str, table: str = "") -> Any:
    """Hold one conversation; what node-postgres was told in it."""
    job = {
        "conversation": conversation,
        "client": {
            "host": target.host,
            "port": target.port,
            "user": target.user,
            "password": target.password,
            "database": target.database,
            # It asks for channel binding only when told to, and then wants it wherever it is offered.
            "enableChannelBinding": target.ca_file is not None,
        },
        "caFile": None if target.ca_file is None else str(target.ca_file),
        "table": table,
    }
    done = subprocess.run(
        [node, "--no-deprecation", str(FOLDER / "conversation.mjs")],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(job),
        env={name: value for name, value in os.environ.items() if not name.startswith(("PG", "NODE_"))},
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_parameters_come_back_as_they_went(node: str, target: Target) -> None:
    assert converse(node, target, "parameters") == {
        "n": 7,
        "word": "grüße",
        "document": {"a": [1, None]},
        "bytes": "00ff",
        "nothing": None,
    }


def test_several_statements_in_one_simple_query(node: str, target: Target) -> None:
    assert converse(node, target, "simple") == [[{"a": 1}], [{"b": 2, "c": 3}]]


def test_a_named_statement_serves_many_times(node: str, target: Target) -> None:
    assert converse(node, target, "named") == list(range(1, 21))


def test_commit_keeps_and_rollback_undoes(node: str, target: Target, table: str) -> None:
    assert converse(node, target, "transactions", table) == [{"id": 1, "word": "kept"}]


def test_an_error_names_itself_and_the_session_goes_on(node: str, target: Target, table: str) -> None:
    said = converse(node, target, "errors", table)
    assert said["twice"]["code"] == "23505"
    assert said["twice"]["severity"] == "ERROR"
    assert said["aborted"]["code"] == "25P02"
    assert said["after"] == [{"n": 1}]


def test_a_large_result_arrives_whole(node: str, target: Target) -> None:
    assert converse(node, target, "large") == {"count": 20_000, "bytes": 4_000_000, "last": 20_000}


def test_queries_queued_on_one_client_keep_their_order(node: str, target: Target) -> None:
    assert converse(node, target, "queued") == list(range(100))


def test_a_pool_of_clients(node: str, target: Target) -> None:
    assert converse(node, target, "pooled") == list(range(60))


def test_a_notice_reaches_the_client(node: str, target: Target) -> None:
    assert converse(node, target, "notice") == ["look here"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"password": "wrong"}, "28P01"), ({"database": "not_there"}, "3D000")],
    ids=("password", "name"),
)
def test_a_wrong_login_is_refused(node: str, target: Target, wrong: dict[str, str], code: str) -> None:
    refused = converse(node, target.but(**wrong), "simple")["refused"]
    assert (refused["code"], refused["severity"]) == (code, "FATAL")
