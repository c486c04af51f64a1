"""The measuring client's refusals; its measurements are in test_pgbouncer.py."""

import pytest

from bench.client import RefusedError, Requests
from bench.endpoint import Endpoint
from deploy.postgres import free_port


def test_a_refused_connection_is_told() -> None:
    nobody = Endpoint(host="127.0.0.1", port=free_port(), user="u", password="p", database="d")
    with pytest.raises(RefusedError, match="refused"):
        Requests().answer({"timeline": nobody.conninfo()})


@pytest.mark.parametrize("request_", [{"query": ""}, {"dance": "now"}])
def test_what_it_cannot_do_is_refused(request_: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="unknown request"):
        Requests().answer(request_)
