"""The parent's side: starts a policy's process, asks it for actions, and believes nothing it sends."""

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
from types import TracebackType
from typing import Literal, NoReturn

import numpy as np

from leaderboards.sandbox.wire import ACTION, ERROR, HEADER, INPUTS, LAYERS, LOADED, MODEL, inputs_bytes, read_array

WORKER = Path(__file__).with_name("worker.py")

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
"""All that a worker sees of ours: it has one thread, so that what it gives up, all of it gives up. (ONNX Runtime's
telemetry would be a second thread, with a data base open for writing.)"""

TOLD = 300
"""Characters that are kept of what a policy says."""

MAX_BYTES = {LAYERS: 4096, LOADED: 0, ERROR: 4096}
"""Of frames other than actions."""

Reason = Literal["late", "crashed"]


@dataclass(frozen=True)
class Limits:
    """What a policy may use up."""

    step_seconds: float = 1.0
    """of wall-clock time, for a decision"""
    load_seconds: float = 20.0
    """of wall-clock time, from the start of its process until the model is ready"""
    cpu_seconds: int = 600
    """of CPU time, for its process as a whole"""
    memory_bytes: int = 2 * 2**30
    """of address space; ONNX Runtime takes about 0.2 GiB of it"""
    action_bytes: int = 2**20
    """of an action"""


class PolicyFailed(RuntimeError):
    """A policy did not answer: it was late, or it crashed. The message is for people and quotes the policy."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(f"policy {reason}: {message}")
        self.reason: Reason = reason


class PolicyProcess:
    """One model in a process that has no environment, no files and no network; a context manager.

    `layers` tells what confines it: of each layer "on" or, in plain words, why it is absent. It was written before the
    process was given the model.
    """

    def __init__(self, model: bytes, limits: Limits = Limits(), *, worker: Path = WORKER):
        """Start a process and load a model.

        Args:
            model: an ONNX file's content.
            limits: on time, memory and sizes.
            worker: program of the process.

        Raises:
            PolicyFailed: it does not load.
            OSError, RuntimeError: the process did not get as far as being given the model.
        """
        if os.name != "posix":
            raise OSError(f"a policy's process is confined by means of POSIX, which {sys.platform} has not")
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
            told = str(self._receive(LAYERS, deadline), "utf-8", "replace")
            self.layers = dict(line.partition(": ")[::2] for line in told.splitlines())
            self._send(MODEL, model, deadline)
            self._receive(LOADED, deadline)
        except BaseException:
            self.close()
            raise

    @property
    def _pipes(self) -> tuple:
        return self._child.stdin, self._child.stdout, self._child.stderr

    def act(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """One decision.

        Args:
            inputs: of the model, by name.

        Returns:
            the model's output "action", of whatever shape and numbers it has.

        Raises:
            PolicyFailed: there was none in time; the process has ended.
            ValueError: the process had ended before.
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
        """End the process, whatever it is doing."""
        self._kill()
        for pipe in self._pipes:
            pipe.close()

    def __enter__(self) -> PolicyProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
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
        """Content of a frame, which must be of a kind."""
        got, length = HEADER.unpack(self._read(HEADER.size, deadline))
        if got not in (kind, ERROR):
            self._fail("crashed", f"it sent a frame {got!r} for a frame {kind!r}")
        allowed = MAX_BYTES.get(got, self._limits.action_bytes)
        if length > allowed:
            self._fail("crashed", f"it sent {length} bytes where {allowed} are allowed")
        content = self._read(length, deadline)
        if got == ERROR:
            self._fail("crashed", _readable(content)[:TOLD])
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
        """Until a pipe can be read or written."""
        poll = select.poll()
        poll.register(pipe, event)
        left = deadline.left
        if not left or not poll.poll(1000 * left):  # a trickle of bytes does not put it off
            self._fail("late", f"no answer within {deadline.seconds:g} s")

    def _unasked(self) -> bool:
        """Whether something is there to be read."""
        try:
            if not os.read(self._child.stdout.fileno(), 1):
                self._died()
        except BlockingIOError:
            return False
        return True

    def _died(self) -> NoReturn:
        """Tell how it did, with the last that it wrote on stderr."""
        self._kill()
        status, said = self._child.returncode, b""
        with suppress(BlockingIOError):
            said = os.read(self._child.stderr.fileno(), 2**20)  # more than a pipe holds
        how = f"status {status}" if status >= 0 else signal.strsignal(-status)
        message = f"its process ended ({how}) {_readable(said)[-TOLD:]}".rstrip()
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
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses where all of the group are dead
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()


class _Deadline:
    """A time from now."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._end = monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, at least 0."""
        return max(0.0, self._end - monotonic())


def _readable(said: bytes | memoryview) -> str:
    """What a stranger wrote, on one line and without control characters."""
    text = bytes(said).decode("utf-8", "replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
