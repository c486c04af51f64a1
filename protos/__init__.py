"""The two protocols as sans-IO cores, the errors, and the small runtime that both tiers stand on.

gRPC reads its environment once, when it is imported, so it is set here, which is imported before. Its C core writes to
stderr by itself, and what it has to say reaches us as errors anyway; and its fork handlers can deadlock with the
subprocesses of others.

Its event engine passes what it has read through a poller's thread and a pool of threads before asyncio hears of it. The
older way, in which the thread that waits for completions polls the sockets too, has fewer wake-ups: 0.7 to 1 ms less
for connect and first query over an idle 80 ms link, and 7 % less CPU a query under load. A release of gRPC that does
not have it any more ignores the names.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault(
    "GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener,-event_engine_for_all_other_endpoints"
)
