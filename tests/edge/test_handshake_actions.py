"""Actions may be logged: none of them shows a secret."""

import pytest

from edge.handshake_actions import Accepted, Action, Cancel, CheckPassword, Send, StartTls
from protos.pg.scram import make_verifier
from protos.pg.startup import StartupMessage

SECRET = b"pencil-secret"


@pytest.mark.parametrize(
    "action",
    [
        Send(SECRET),
        StartTls(SECRET),
        CheckPassword(SECRET, make_verifier(SECRET, 1, SECRET)),
        Cancel(7, SECRET),
        Accepted(
            user="me",
            configuration="demo",
            startup=StartupMessage(3, 0, {"user": "me"}),
            minor=0,
            settings=[],
            rest=SECRET,
            secured=True,
        ),
    ],
    ids=lambda action: type(action).__name__,
)
def test_nothing_secret_is_in_a_repr(action: Action) -> None:
    assert "pencil" not in repr(action)
