"""Parent process: starts a policy's worker, requests actions, and validates everything it sends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal, NoReturn

import numpy as np

from leaderboards.sandbox.wire import ACTION, ERROR, HEADER, INPUTS, LAYERS, LOADED, MODEL, inputs_bytes, read_array

WORKER = Path(__file__).with_name("worker.py")

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
"""Environment variables of a worker: one thread, since some layers bind one only. (ONNX Runtime's telemetry would start
a second, with a database open for writing.)"""

MAX_QUOTE = 300
"""Characters quoted from a policy's output."""

MAX_BYTES = {LAYERS: 4096, LOADED: 0, ERROR: 4096}
"""Maximum size of frames other than actions."""

Reason = Literal["late", "crashed"]


@dataclass(frozen=True)
class Limits:
    """Resource limits of a policy."""

    step_seconds: float = 1.0
    """wall-clock time per decision"""
    load_seconds: float = 20.0
    """wall-clock time from process start until the model is loaded"""
    cpu_seconds: int = 600
    """CPU time of the whole process"""
    memory_bytes: int = 2 * 2**30
    """address space; ONNX Runtime takes about 0.2 GiB of it"""
    action_bytes: int = 2**20
    """size of an action"""


class PolicyFailed(RuntimeError):
    """A policy did not answer: it was late or crashed. The message quotes the policy's output."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(f"policy {reason}: {message}")
        self.reason: Reason = reason


class PolicyProcess:
    """One model in a process without environment, files and network; a context manager.

    `layers` maps each isolation layer to "on" or the reason why it is absent, as reported before the model was sent.
    """

    def __init__(self, model: bytes, limits: Limits = Limits(), *, worker: Path = WORKER):
        """Start a process running `worker` and load the model, the content of an ONNX file.

        Raises PolicyFailed if the model does not load, OSError or RuntimeError if the process does not start.
        """
        if os.name != "posix":
            raise OSError(f"the sandbox needs a POSIX system, this is {sys.platform}")
        deadline = _Deadline(limits.load_seconds)
        self.layers: Mapping[str, str] = {}
        self._limits = limits
        self._child = subprocess.Popen(
            [sys.executable, "-I", str(worker), str(limits.memory_bytes), str(limits.cpu_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        try:
            report = str(self._receive(LAYERS, deadline), "utf-8", "replace")
            self.layers = dict(line.partition(": ")[::2] for line in report.splitlines())
            self._send(MODEL, model, deadline)
            self._receive(LOADED, deadline)
        except BaseException:
            self.close()
            raise

    @property
    def _pipes(self) -> tuple:
        return self._child.stdin, self._child.stdout, self._child.stderr

    def act(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the model's output "action" for its inputs by name, with shape and values unchecked.

        Raises PolicyFailed without a valid answer in time, which ends the process; ValueError if it has ended already.
        """
        if self._child.returncode is not None:
            raise ValueError("the policy's process has ended")
        deadline = _Deadline(self._limits.step_seconds)
        if self._unasked():
            self._fail("crashed", "it spoke before it was asked")
        self._send(INPUTS, inputs_bytes(inputs), deadline)
        content = self._receive(ACTION, deadline)
        try:
            action, rest = read_array(content)
        except ValueError as error:
            self._fail("crashed", f"it sent {error}")
        if rest:
            self._fail("crashed", f"it sent {len(rest)} bytes after an action")
        return action

    def close(self) -> None:
        """Kill the process and close its pipes."""
        self._kill()
        for pipe in self._pipes:
            pipe.close()

    def __enter__(self) -> PolicyProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _send(self, kind: bytes, content: bytes, deadline: _Deadline) -> None:
        pipe = self._child.stdin.fileno()
        for part in (HEADER.pack(kind, len(content)), content):
            rest = memoryview(part)
            while rest:
                try:
                    rest = rest[os.write(pipe, rest) :]
                except BlockingIOError:
                    self._wait(pipe, select.POLLOUT, deadline)
                except BrokenPipeError:
                    self._died()

    def _receive(self, kind: bytes, deadline: _Deadline) -> memoryview:
        """Return the content of the next frame, which must be of the given kind."""
        got, length = HEADER.unpack(self._read(HEADER.size, deadline))
        if got not in (kind, ERROR):
            self._fail("crashed", f"it sent a frame {got!r} for a frame {kind!r}")
        allowed = MAX_BYTES.get(got, self._limits.action_bytes)
        if length > allowed:
            self._fail("crashed", f"it sent {length} bytes where {allowed} are allowed")
        content = self._read(length, deadline)
        if got == ERROR:
            self._fail("crashed", _readable(content)[:MAX_QUOTE])
        return content

    def _read(self, count: int, deadline: _Deadline) -> memoryview:
        pipe = self._child.stdout.fileno()
        content = rest = memoryview(bytearray(count))
        while rest:
            self._wait(pipe, select.POLLIN, deadline)
            got = os.readv(pipe, [rest])
            if got == 0:
                self._died()
            rest = rest[got:]
        return content

    def _wait(self, pipe: int, event: int, deadline: _Deadline) -> None:
        """Wait until a pipe is ready to be read or written."""
        poll = select.poll()
        poll.register(pipe, event)
        left = deadline.left
        if not left or not poll.poll(1000 * left):  # slow partial answers do not extend it
            self._fail("late", f"no answer within {deadline.seconds:g} s")

    def _unasked(self) -> bool:
        """Whether unrequested output is waiting."""
        try:
            if not os.read(self._child.stdout.fileno(), 1):
                self._died()
        except BlockingIOError:
            return False
        return True

    def _died(self) -> NoReturn:
        """Fail with the exit status and the last output on stderr."""
        self._kill()
        status, output = self._child.returncode, b""
        with suppress(BlockingIOError):
            output = os.read(self._child.stderr.fileno(), 2**20)  # more than a pipe holds
        how = f"status {status}" if status >= 0 else signal.strsignal(-status)
        message = f"its process ended ({how}) {_readable(output)[-MAX_QUOTE:]}".rstrip()
        if status == -signal.SIGXCPU:
            self._fail("late", f"it used up its {self._limits.cpu_seconds} s of CPU time")
        self._fail("crashed", message)

    def _fail(self, reason: Reason, message: str) -> NoReturn:
        self.close()
        if not self.layers:
            raise RuntimeError(f"a policy's process did not start: {message}")
        raise PolicyFailed(reason, message)

    def _kill(self) -> None:
        if self._child.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses if the whole group is dead
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()


class _Deadline:
    """Point in time a number of seconds from now."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._end = monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - monotonic())


def _readable(output: bytes | memoryview) -> str:
    """Untrusted output on one line, without control characters."""
    text = bytes(output).decode("utf-8", "replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
