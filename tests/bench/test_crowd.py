"""The crowd says how far it came."""

import pytest

from bench.endpoint import Endpoint
from bench.idle import Crowd
from bench.workspace import UnavailableError, open_workspace
from deploy.postgres import free_port


def test_a_crowd_that_is_refused_says_at_which_client() -> None:
    nobody = Endpoint(host="127.0.0.1", port=free_port(), user="u", password="p", database="d")
    with open_workspace() as workspace:
        crowd = Crowd(workspace, nobody)
        crowd.query()  # nobody is there, so nothing to do
        with pytest.raises(UnavailableError, match="at 0 clients"):
            crowd.grow(3)
        crowd.leave()
