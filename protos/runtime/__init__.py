"""asyncio as host, trio as guest, and the pump that moves the bytes of established connections.

gRPC reads its environment when it is imported, which happens in this package: its C core writes to stderr by itself,
and what it has to say reaches us as errors anyway; and its fork handlers can deadlock with the subprocesses of
others.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
