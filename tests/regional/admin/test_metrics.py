"""The text is what Prometheus reads, whatever is in a label."""

import re

from regional.admin.metrics import render
from regional.control import Status
from tests.regional.admin.fakes import STATUS

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? [-+0-9.e]+')


def test_every_line_is_a_comment_or_a_sample() -> None:
    for line in render(STATUS).splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.fullmatch(line), line


def test_figures_are_under_pgbouncers_names() -> None:
    text = render(STATUS)
    assert 'onetrip_pool_maxwait_seconds{configuration="demo"} 0.25\n' in text
    assert 'onetrip_pool_sv_login{configuration="demo"} 5\n' in text
    assert 'onetrip_pool_bound{configuration="demo"} 12\n' in text
    assert 'onetrip_pool_bound_by{configuration="demo",by="slow"} 1\n' in text
    assert 'onetrip_link_round_trip_seconds{edge="edge-1",address="10.0.0.1:5\\""} 0.08\n' in text
    assert "onetrip_ready 1\n" in text


def test_queries_are_counted_by_what_the_cache_has_done() -> None:
    text = render(STATUS)
    assert text.count("# TYPE onetrip_cache_queries_total counter\n") == 1
    one = 'onetrip_cache_queries_total{configuration="demo",status='
    for status, count in (("hit", 90), ("stale", 5), ("miss", 5), ("disabled", 1), ("transaction", 2), ("bypassed", 3)):
        assert f'{one}"{status}",reason=""}} {count}\n' in text
    assert f'{one}"uncacheable",reason="volatile function"}} 3\n' in text
    assert f'{one}"uncacheable",reason="a \\"new\\" one"}} 1\n' in text
    assert 'onetrip_cache_entries{configuration="demo"} 7\n' in text
    assert 'onetrip_cache_bytes{configuration="demo"} 2048\n' in text
    assert 'onetrip_cache_renewals_total{configuration="demo"} 6\n' in text


def test_a_node_without_pools_and_links_has_no_empty_metrics() -> None:
    text = render(Status(node="n"))
    assert "onetrip_pool" not in text
    assert "onetrip_cache" not in text
    assert "onetrip_links 0\n" in text
