"""Isolation layers that a worker process applies to itself, irrevocably, before it reads a submitted model.

Layers overlap on purpose: system, kernel and installed libraries decide which are available. bubblewrap would add none:
it uses the same namespaces and filters, and is seldom installed. The worker imports this module by path, so it imports
nothing of the project.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import struct
import sys
from collections.abc import Callable

# Imported here and not in seccomp(): an earlier layer may already block opening files.
try:
    import pyseccomp
except ImportError:
    pyseccomp = "pyseccomp is not installed"
except RuntimeError:
    pyseccomp = "the library libseccomp is not installed"

ON = "on"
"""Report of an active layer."""

PR_SET_NO_NEW_PRIVS = 38

CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS = 0x10000000, 0x40000000, 0x08000000, 0x04000000

LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
"""System call numbers, the same on every architecture."""
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_FILES = {1: 13, 2: 14, 3: 15, 5: 16}
"""Number of file access rights (bits) by minimum Landlock version; include/uapi/linux/landlock.h."""

CALLS = (
    *("read", "readv", "write", "writev", "close"),
    *("brk", "munmap", "mremap", "madvise"),
    *("futex", "sched_yield", "sched_getaffinity", "getcpu", "membarrier", "getpid", "gettid", "getrandom"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "exit", "exit_group"),
)
"""Allowed system calls: open pipes, memory, this thread, clocks, exit. mmap and mprotect: without PROT_EXEC."""


class Absent(Exception):
    """The layer is not available; the message says why."""


def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise Absent(f"needs Linux, this is {sys.platform}")
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")
    return result


def one_thread() -> None:
    """Check that no other thread runs: Landlock binds only the calling thread and those it starts later."""
    _libc()
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise Absent(f"{threads} threads had been started, and Landlock binds one")


def privileges() -> None:
    """Forbid privilege gains through exec, as Landlock and seccomp require."""
    _check(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def namespaces() -> None:
    """Enter new user, network, IPC and UTS namespaces: no rights outside, no network interfaces."""
    _check(_libc().unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), "unshare")


def _landlock_version() -> int:
    call = _libc().syscall
    version = call(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_CREATE_RULESET_VERSION)
    if version < 0:
        why = {errno.ENOSYS: "this kernel was built without it", errno.EOPNOTSUPP: "this kernel started without it"}
        raise Absent(why.get(ctypes.get_errno(), os.strerror(ctypes.get_errno())))
    return version


def _landlock(*attributes: int) -> None:
    """Apply a ruleset that handles these rights and grants none."""
    call, packed = _libc().syscall, struct.pack(f"{len(attributes)}Q", *attributes)
    ruleset = _check(call(LANDLOCK_CREATE_RULESET, packed, ctypes.c_size_t(len(packed)), 0), "landlock_create_ruleset")
    try:
        _check(call(LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def landlock_files() -> None:
    """Forbid opening, creating, listing, executing and removing files."""
    version = _landlock_version()
    _landlock((1 << LANDLOCK_FILES[max(known for known in LANDLOCK_FILES if known <= version)]) - 1)


def landlock_tcp() -> None:
    """Forbid binding and connecting TCP ports."""
    if _landlock_version() < 4:
        raise Absent("this kernel's Landlock is older than its version 4 (Linux 6.7)")
    _landlock(0, 0b11)


def landlock_scopes() -> None:
    """Forbid signals to other processes and connections to abstract Unix sockets."""
    if _landlock_version() < 6:
        raise Absent("this kernel's Landlock is older than its version 6 (Linux 6.12)")
    _landlock(0, 0, 0b11)


def limits(memory_bytes: int, cpu_seconds: int) -> None:
    """Limit memory and CPU time; forbid core dumps, file writes, new descriptors and new processes."""
    wanted = {
        "RLIMIT_AS": (memory_bytes, memory_bytes),
        "RLIMIT_CPU": (cpu_seconds, cpu_seconds + 1),  # SIGXCPU, which states the reason, one second before SIGKILL
        **dict.fromkeys(("RLIMIT_CORE", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_NOFILE"), (0, 0)),
    }
    refused = []
    for name, pair in wanted.items():
        try:
            resource.setrlimit(getattr(resource, name), pair)
        except (AttributeError, ValueError, OSError) as error:
            refused.append(f"{name}: {error}")
    if refused:
        raise Absent(f"on, but for {', '.join(refused)}")


def seccomp() -> None:
    """Make every system call outside CALLS fail, in all threads."""
    _libc()
    if isinstance(pyseccomp, str):
        raise Absent(pyseccomp)
    allowed = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    allowed.set_attr(pyseccomp.Attr.CTL_TSYNC, 1)
    for call in CALLS:
        allowed.add_rule(pyseccomp.ALLOW, call)
    for call in ("mmap", "mprotect"):
        allowed.add_rule(pyseccomp.ALLOW, call, pyseccomp.Arg(2, pyseccomp.MASKED_EQ, mmap.PROT_EXEC, 0))
    allowed.load()


def confine(memory_bytes: int, cpu_seconds: int) -> dict[str, str]:
    """Apply every available layer, ordered so that none needs what an earlier one removed.

    Returns "on", or the reason why not, by layer. Limits: address space in bytes, CPU time of this process in seconds.
    """
    layers: dict[str, Callable[[], None]] = {
        "one thread": one_thread,
        "privileges": privileges,
        "namespaces": namespaces,
        "landlock files": landlock_files,
        "landlock tcp": landlock_tcp,
        "landlock scopes": landlock_scopes,
        "limits": lambda: limits(memory_bytes, cpu_seconds),
        "seccomp": seccomp,
    }
    report = {}
    for name, layer in layers.items():
        try:
            layer()
            report[name] = ON
        except (Absent, OSError) as error:
            report[name] = str(error)
    return report
