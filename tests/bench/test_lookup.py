"""The client that looks rows up; that it does is seen in test_echo.py."""

import io
import json
import sys

import pytest

from bench import lookup


def test_what_the_server_refuses_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    request = json.dumps({"open": "host=127.0.0.1 port=1 connect_timeout=2"})
    monkeypatch.setattr(sys, "stdin", io.StringIO(request + "\n"))
    lookup.main()
    assert "refused" in json.loads(capsys.readouterr().out)
