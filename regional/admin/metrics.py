"""The node's figures as Prometheus text, under PgBouncer's names where the meaning is the same."""

from collections.abc import Iterable
from typing import Final

from regional.control import CacheStatus, LinkStatus, PoolStatus, Status

# Metric, type, help, the field of PoolStatus.
POOL_METRICS: Final = (
    ("onetrip_pool_cl_active", "gauge", "Clients that hold an origin connection.", "cl_active"),
    ("onetrip_pool_cl_waiting", "gauge", "Clients that wait for an origin connection.", "cl_waiting"),
    ("onetrip_pool_sv_active", "gauge", "Origin connections that are leased.", "sv_active"),
    ("onetrip_pool_sv_idle", "gauge", "Origin connections that are idle.", "sv_idle"),
    ("onetrip_pool_sv_login", "gauge", "Origin connections that are being opened.", "sv_login"),
    ("onetrip_pool_maxwait_seconds", "gauge", "How long the head of the queue has waited.", "maxwait"),
    ("onetrip_pool_size", "gauge", "Origin connections of all kinds.", "size"),
    ("onetrip_pool_limit", "gauge", "origin_connection_limit.", "limit"),
    ("onetrip_pool_bound", "gauge", "Origin connections that may be in use at once now.", "bound"),
    ("onetrip_pool_leases_total", "counter", "Leases given since the start.", "total_leases"),
    ("onetrip_pool_errors_total", "counter", "Leases refused since the start.", "total_errors"),
)
LINK_METRICS: Final = (
    ("onetrip_link_up_seconds", "gauge", "Age of the link.", "up_s"),
    ("onetrip_link_round_trip_seconds", "gauge", "The latest crossing and back.", "round_trip_s"),
    ("onetrip_link_channels", "gauge", "Open channels.", "channels"),
    ("onetrip_link_received_bytes_total", "counter", "Bytes received from the edge.", "received_bytes"),
    ("onetrip_link_sent_bytes_total", "counter", "Bytes sent to the edge.", "sent_bytes"),
)

# A query's status, and the field of CacheStatus that counts it; `uncacheable` has a reason beside it.
CACHE_STATUSES: Final = (
    ("hit", "hits"),
    ("stale", "stale"),
    ("miss", "misses"),
    ("disabled", "disabled"),
    ("transaction", "transaction"),
    ("bypassed", "bypassed"),
)
CACHE_METRICS: Final = (
    ("onetrip_cache_entries", "gauge", "Answers that edges keep.", "entries"),
    ("onetrip_cache_bytes", "gauge", "What they take.", "bytes"),
    ("onetrip_cache_renewals_total", "counter", "Stale answers that were asked for again.", "renewals"),
)


def render(status: Status) -> str:
    """The text of `/metrics`."""
    lines = [
        *_metric("onetrip_up_seconds", "gauge", "Time since the start of this node.", [("", status.up_s)]),
        *_metric("onetrip_ready", "gauge", "Whether this node takes new work.", [("", int(status.ready))]),
        *_metric("onetrip_links", "gauge", "Linked edges.", [("", len(status.links))]),
    ]
    for name, kind, text, field in POOL_METRICS:
        lines += _metric(name, kind, text, [(_pool_label(pool), getattr(pool, field)) for pool in status.pools])
    bounds = [(_pool_label(pool, by=pool.bound_by), 1) for pool in status.pools]
    lines += _metric("onetrip_pool_bound_by", "gauge", "Where the bound comes from.", bounds)
    text = "Queries by what the cache has done for them, since the edges' start."
    queries = [sample for cache in status.caches for sample in _cache_queries(cache)]
    lines += _metric("onetrip_cache_queries_total", "counter", text, queries)
    for name, kind, text, field in CACHE_METRICS:
        lines += _metric(name, kind, text, [(_cache_label(cache), getattr(cache, field)) for cache in status.caches])
    for name, kind, text, field in LINK_METRICS:
        lines += _metric(name, kind, text, [(_link_label(link), getattr(link, field)) for link in status.links])
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, samples: Iterable[tuple[str, float | None]]) -> list[str]:
    values = [f"{name}{label} {value!r}" for label, value in samples if value is not None]
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *values] if values else []


def _pool_label(pool: PoolStatus, *, by: str = "") -> str:
    more = f',by="{by}"' if by else ""
    return f'{{configuration="{_escaped(pool.configuration)}"{more}}}'


def _cache_queries(cache: CacheStatus) -> list[tuple[str, int]]:
    counted = [(_cache_label(cache, status=status), getattr(cache, field)) for status, field in CACHE_STATUSES]
    reasons = cache.reasons.items()
    return counted + [(_cache_label(cache, status="uncacheable", reason=reason), count) for reason, count in reasons]


def _cache_label(cache: CacheStatus, *, status: str = "", reason: str = "") -> str:
    """Prometheus wants the same labels on all samples of a metric."""
    more = f',status="{status}",reason="{_escaped(reason)}"' if status else ""
    return f'{{configuration="{_escaped(cache.configuration)}"{more}}}'


def _link_label(link: LinkStatus) -> str:
    return f'{{edge="{_escaped(link.edge)}",address="{_escaped(link.address)}"}}'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
