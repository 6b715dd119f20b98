"""What code in a policy's process would like to do: a policy that tries it all and tells with what success.

Run inside the worker by scripts that test_sandbox.py writes. Every attempt is harmless where it succeeds.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import sys

import numpy as np


def _socket(family, kind, address):
    with socket.socket(family, kind) as made:
        made.connect(address)
        made.send(b"seed")


def _fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _ptrace(process):
    if ctypes.CDLL(None, use_errno=True).ptrace(0x4206, process, 0, 0):  # PTRACE_SEIZE stops nobody
        raise OSError(ctypes.get_errno(), "ptrace")


def _opened(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags, 0o600))


ATTEMPTS = {
    "read the secret": lambda told: _opened(told["secret"]),
    "read a system file": lambda told: _opened("/etc/passwd"),
    "read its environment": lambda told: _opened("/proc/self/environ"),
    "read the parent's environment": lambda told: _opened(f"/proc/{told['parent']}/environ"),
    "read the parent's arguments": lambda told: _opened(f"/proc/{told['parent']}/cmdline"),
    "list the parent's files": lambda told: os.listdir(f"/proc/{told['parent']}/fd"),
    "list a folder": lambda told: os.listdir(told["folder"]),
    "overwrite the secret": lambda told: _opened(told["secret"], os.O_WRONLY),
    "truncate the secret": lambda told: os.truncate(told["secret"], 1),
    "make a file": lambda told: _opened(told["folder"] + "/made", os.O_CREAT | os.O_WRONLY),
    "make a file in memory": lambda told: os.close(os.memfd_create("made")),
    "make a folder": lambda told: os.mkdir(told["folder"] + "/folder"),
    "make a link": lambda told: os.symlink("/etc/passwd", told["folder"] + "/link"),
    "remove a file": lambda told: os.remove(told["folder"] + "/spare"),
    "connect by TCP": lambda told: _socket(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", told["tcp"])),
    "send by UDP": lambda told: _socket(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", told["udp"])),
    "connect to an abstract socket": lambda told: _socket(
        socket.AF_UNIX, socket.SOCK_STREAM, b"\0" + told["abstract"].encode()
    ),
    "make a pair of sockets": lambda told: [end.close() for end in socket.socketpair()],
    "fork": lambda told: _fork(),
    "run a program": lambda told: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
    "signal the parent": lambda told: os.kill(told["parent"], 0),
    "trace the parent": lambda told: _ptrace(told["parent"]),
    "make memory executable": lambda told: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC).close(),
}


def _open_files():
    """Numbers of descriptors that something can be read from or written to."""

    def works(call, *arguments):
        try:
            call(*arguments)
        except OSError as error:
            return error.errno != errno.EBADF
        return True

    return [file for file in range(1000) if works(os.read, file, 0) or works(os.write, file, b"")]


def load(model):
    """A policy whose action is a JSON text: what stopped each attempt ("" if nothing did), and what it saw."""
    told = json.loads(model)
    seen = {
        "environment": dict(os.environ),
        "arguments": sys.argv[1:],
        "modules": sorted({name.partition(".")[0] for name in sys.modules}),
        "files": _open_files(),
    }
    stopped = {}
    for name, attempt in ATTEMPTS.items():
        try:
            attempt(told)
        except OSError as error:
            stopped[name] = errno.errorcode[error.errno]
        else:
            stopped[name] = ""
    answer = json.dumps({"stopped": stopped, "seen": seen})
    return lambda inputs: np.frombuffer(answer.encode(), np.uint8)
