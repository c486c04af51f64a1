"""What our logs look like, seen from outside: a process of their own, for they are set up once for all."""

import json
import subprocess
import sys
from typing import Final

PROGRAM: Final = """
import logging, structlog
from protos.runtime.logs import configure_logs
configure_logs(as_json={as_json})
log = structlog.get_logger("edge")
log.debug("too much detail")
log.info("linked", node="pool-1")
logging.getLogger("grpc").info("chatter")
logging.getLogger("grpc").warning("trouble")
def sign_in(password):
    raise ValueError("refused")
try:
    sign_in("pen" + "cil")
except ValueError:
    log.exception("a login failed", user="ot_me")
"""


def said(*, as_json: bool) -> list[str]:
    """The lines on stderr; stdout must stay empty."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(as_json=as_json)], check=True, capture_output=True, text=True
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_json_is_one_object_a_line_with_level_and_time() -> None:
    lines = said(as_json=True)
    linked, failed = (json.loads(line) for line in lines if line.startswith("{"))
    assert linked["timestamp"].endswith("Z")
    del linked["timestamp"]
    assert linked == {"event": "linked", "level": "info", "node": "pool-1"}
    assert (failed["event"], failed["level"], failed["user"]) == ("a login failed", "error", "ot_me")
    assert failed["exception"].startswith("Traceback")
    assert failed["exception"].endswith("ValueError: refused")


def test_a_terminal_is_told_in_plain_words() -> None:
    lines = said(as_json=False)
    linked = next(line for line in lines if "linked" in line)
    assert "[info" in linked
    assert "node=pool-1" in linked
    assert "\x1b" not in "".join(lines), "colours where nobody sees them"
    assert lines[-1] == "ValueError: refused"


def test_detail_is_left_out_and_other_libraries_only_warn() -> None:
    for as_json in (True, False):
        text = "\n".join(said(as_json=as_json))
        assert "grpc: trouble" in text
        assert "chatter" not in text
        assert "too much detail" not in text


def test_a_traceback_does_not_tell_passwords() -> None:
    assert all("pencil" not in line for as_json in (True, False) for line in said(as_json=as_json))
