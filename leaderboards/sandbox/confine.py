"""What a process gives up, for good, before it touches a stranger's model.

Layers overlap on purpose: each is there or not depending on system, kernel and libraries. bubblewrap would add none: it
makes the same namespaces and filters, and is seldom installed. The worker imports this by path, so nothing of the
project is imported here.
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

# Here and not in seccomp(): a layer may have closed the files by then.
try:
    import pyseccomp
except ImportError:
    pyseccomp = "pyseccomp is not installed"
except RuntimeError:
    pyseccomp = "the library libseccomp is not installed"

ON = "on"
"""What is told of a layer that confines."""

PR_SET_NO_NEW_PRIVS = 38

CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS = 0x10000000, 0x40000000, 0x08000000, 0x04000000

LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
"""Numbers of system calls, the same on every architecture."""
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_FILES = {1: 13, 2: 14, 3: 15, 5: 16}
"""Rights on files that Landlock knows, from each of its versions on: so many bits, of include/uapi/linux/landlock.h."""

CALLS = (
    *("read", "readv", "write", "writev", "close"),
    *("brk", "munmap", "mremap", "madvise"),
    *("futex", "sched_yield", "sched_getaffinity", "getcpu", "membarrier", "getpid", "gettid", "getrandom"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "exit", "exit_group"),
)
"""System calls that remain, for open pipes, memory, this thread, clocks and its end. So do mmap and mprotect where they
make nothing executable."""


class Absent(Exception):
    """A layer is not to be had here; the message says why."""


def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise Absent(f"Linux has it, {sys.platform} has not")
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")
    return result


def one_thread() -> None:
    """None was started before: Landlock binds the thread that asks for it, and those it starts."""
    _libc()
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise Absent(f"{threads} threads had been started, and Landlock binds one")


def privileges() -> None:
    """No program, were one started, gains rights by its file: what Landlock and seccomp ask for."""
    _check(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def namespaces() -> None:
    """A user without rights outside, a network without interfaces."""
    _check(_libc().unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), "unshare")


def _landlock_version() -> int:
    call = _libc().syscall
    version = call(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_CREATE_RULESET_VERSION)
    if version < 0:
        why = {errno.ENOSYS: "this kernel was built without it", errno.EOPNOTSUPP: "this kernel started without it"}
        raise Absent(why.get(ctypes.get_errno(), os.strerror(ctypes.get_errno())))
    return version


def _landlock(*attributes: int) -> None:
    """A ruleset that handles these rights and grants none."""
    call, packed = _libc().syscall, struct.pack(f"{len(attributes)}Q", *attributes)
    ruleset = _check(call(LANDLOCK_CREATE_RULESET, packed, ctypes.c_size_t(len(packed)), 0), "landlock_create_ruleset")
    try:
        _check(call(LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def landlock_files() -> None:
    """No file can be opened, made, listed, run or removed."""
    version = _landlock_version()
    _landlock((1 << LANDLOCK_FILES[max(known for known in LANDLOCK_FILES if known <= version)]) - 1)


def landlock_tcp() -> None:
    """No TCP port can be bound or connected to."""
    if _landlock_version() < 4:
        raise Absent("this kernel's Landlock is older than its version 4 (Linux 6.7)")
    _landlock(0, 0b11)


def landlock_scopes() -> None:
    """No signal reaches another process, nor a connection an abstract Unix socket."""
    if _landlock_version() < 6:
        raise Absent("this kernel's Landlock is older than its version 6 (Linux 6.12)")
    _landlock(0, 0, 0b11)


def limits(memory_bytes: int, cpu_seconds: int) -> None:
    """Memory and CPU time; no dump, no bytes into files, no new files, no new processes."""
    wanted = {
        "RLIMIT_AS": (memory_bytes, memory_bytes),
        "RLIMIT_CPU": (cpu_seconds, cpu_seconds + 1),  # a signal that tells why, before the one that cannot be caught
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_FSIZE": (0, 0),
        "RLIMIT_NPROC": (0, 0),
        "RLIMIT_NOFILE": (0, 0),
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
    """System calls other than CALLS fail, in every thread."""
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
    """Every layer that is to be had, in an order in which none needs what an earlier one has taken.

    Args:
        memory_bytes: of address space.
        cpu_seconds: of this process from its start.

    Returns:
        of each layer, "on" or in plain words why it is not.
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
    told = {}
    for name, layer in layers.items():
        try:
            layer()
            told[name] = ON
        except (Absent, OSError) as error:
            told[name] = str(error)
    return told
