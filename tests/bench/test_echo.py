"""The echo answers what was recorded; a real PostgreSQL is what is recorded here."""

import json
import subprocess
import sys

import pytest

from bench.echo import record
from bench.endpoint import Endpoint
from bench.lookup import PROTOCOLS, Lookup
from bench.origin import open_origin
from bench.scene import ask
from bench.workspace import Workspace, answer_of, open_workspace


def looking_up(workspace: Workspace, endpoint: Endpoint, key: int) -> None:
    client = workspace.spawn("client", [sys.executable, "-m", "bench.lookup"])
    ask(workspace, client, {"open": endpoint.conninfo()})
    for protocol in PROTOCOLS:
        assert len(ask(workspace, client, {"ask": protocol, "keys": [key]})["ms"]) == 1
    assert client.stdin is not None
    client.stdin.close()
    assert client.wait(10) == 0


@pytest.mark.postgres
def test_a_client_cannot_tell_the_echo_from_what_was_recorded() -> None:
    with open_workspace() as workspace, open_origin(workspace, hosts=["127.0.0.1"], namespace=None, scale=1) as origin:
        straight = origin.endpoint("127.0.0.1", sslmode="disable")
        answers = record(straight, lambda endpoint: looking_up(workspace, endpoint, 17))
    assert set(answers) == {b"Q", b"P", b"B"}
    assert all(answer.endswith(b"Z\0\0\0\5I") for answer in answers.values())
    with open_workspace() as workspace:
        echo = workspace.spawn("echo", [sys.executable, "-m", "bench.echo"])
        _tell(echo, {kind.decode(): answer.hex() for kind, answer in answers.items()})
        port = json.loads(answer_of(workspace, "echo", echo))["port"]
        endpoint = Endpoint(host="127.0.0.1", port=port, user="u", password="p", database="d")
        lookup = Lookup(endpoint.conninfo())
        for protocol in PROTOCOLS:
            assert len(lookup.times_ms(protocol, [1, 2, 3])) == 3
        lookup.close()


def _tell(echo: "subprocess.Popen[str]", words: dict[str, str]) -> None:
    assert echo.stdin is not None
    echo.stdin.write(json.dumps(words) + "\n")
    echo.stdin.flush()
