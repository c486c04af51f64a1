"""Become another program that cannot outlive its parent, and give up root's rights on the way.

Theory of operation: `python -I -S tether.py PARENT SIGNAL IDENTITY PROGRAM …` asks Linux to send SIGNAL to this process
when PARENT dies (also by SIGKILL, which no handler sees), then turns into PROGRAM. It is a program of its own because
none of this may happen in the parent, and code between fork and exec is not safe in a process with threads. The order
matters: changing the user clears the wish for a signal, and a parent that died before the wish sends none. Elsewhere
than on Linux there is no such wish; children are then ended only by a parent that ends in order.

IDENTITY is UID:GID, or `-` to stay who we are. This file imports nothing of ours: it runs without site-packages.
"""

import ctypes
import os
import signal
import sys
from typing import Final

# linux/prctl.h
PR_SET_PDEATHSIG: Final = 1


def become(parent: int, death_signal: int, identity: str, program: list[str]) -> None:
    """Turn into the program; returns never."""
    if identity != "-":
        uid, gid = (int(part) for part in identity.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:
        os._exit(1)
    # This interpreter ignores them and an ignored signal stays ignored in PROGRAM.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.stderr.write(f"onetrip: cannot run {program[0]}: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
