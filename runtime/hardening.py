"""What a process whose memory holds secrets denies itself and others."""

from __future__ import annotations

import ctypes
import errno
import os
import resource

OWN_FILES = 200
"""Open files of a process that are not connections of its clients: databases, sidecars, upstreams, logs."""
MOST_FILES = 1 << 20
"""What counts as an open file limit without end: RLIM_INFINITY is -1 on some systems, and huge on others."""
_PR_SET_DUMPABLE = 4
_MCL_CURRENT = 1
_MCL_FUTURE = 2
_MCL_ONFAULT = 4


def leave_no_core_dump() -> None:
    """Deny core dumps, and debuggers of this account. The limit alone would not stop a pipe for dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def harden() -> None:
    """Leave no core dump, and keep new files to this account."""
    leave_no_core_dump()
    os.umask(0o077)


def raise_open_files() -> int:
    """Allow this process as many open files as its hard limit does, and return how many.

    Each connection is one. Shells and systemd set the soft limit to 1,024, for programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections_of(open_files: int, *, sockets: int = 1) -> int:
    """Return how many connections each of a process's listening sockets takes.

    The rest of its open files are kept for what it opens itself, so that clients that connect and say nothing
    take neither its database from it nor another socket's clients.
    """
    files = open_files if 0 <= open_files < MOST_FILES else MOST_FILES
    return max(1, (files - min(OWN_FILES, files // 2)) // sockets)


def lock_memory() -> str:
    """Keep the process's memory out of swap; return why that is not permitted, empty where it is.

    Pages are locked as they are first touched (MCL_ONFAULT): stacks of threads are mostly address space.
    Nothing is locked under a finite limit, since with MCL_FUTURE every later mapping beyond it would fail, a
    thread's stack among them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
        soft = hard
    # With CAP_IPC_LOCK the limit does not count, and root's effective capabilities have it unless taken away.
    if soft != resource.RLIM_INFINITY and not _has_ipc_lock():
        return f"RLIMIT_MEMLOCK is {soft} bytes"
    library = ctypes.CDLL(None, use_errno=True)
    if library.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0:
        return ""
    return f"mlockall: {errno.errorcode.get(ctypes.get_errno(), 'unknown error')}"


def _has_ipc_lock() -> bool:
    """Return whether CAP_IPC_LOCK (14) is effective; False where /proc does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            effective = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return False
    return bool(int(effective, 16) >> 14 & 1)
