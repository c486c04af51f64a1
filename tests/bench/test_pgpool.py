"""Pgpool-II's settings; that it runs is seen in test_cache.py, where it is installed."""

from bench.endpoint import Endpoint
from bench.pgpool import PgpoolOptions, settings_text

SERVER = Endpoint(host="10.0.0.1", port=5432, user="u", password="p", database="d")


def test_it_caches_and_has_a_process_for_each_client() -> None:
    lines = settings_text(PgpoolOptions(name="pgpool", server=SERVER, clients=64), 9999, "/somewhere").splitlines()
    assert {"memory_cache_enabled = on", "memqcache_expire = 0", "port = 9999"} <= set(lines)
    assert {"backend_hostname0 = '10.0.0.1'", "backend_port0 = 5432"} <= set(lines)
    (children,) = (line for line in lines if line.startswith("num_init_children"))
    assert int(children.rpartition(" ")[2]) > 64
