"""A thread pool that survives a fork: a forked child starts threads of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class ThreadPool:
    """Threads that start at first use, and again in a forked child, which has none of its parent's.

    Args:
        threads: number of threads besides the caller's.
    """

    def __init__(self, threads: int):
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def apply(self, work: Callable[[Any], None], parts: Iterable[Any]) -> None:
        """Call `work` with every part, with the first one in the caller's thread."""
        first, *others = parts
        if others and (self._pool is None or self._process != os.getpid()):
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="dtenv")
            self._process = os.getpid()
        pending = [self._pool.submit(work, part) for part in others]  # type: ignore[union-attr]
        work(first)
        for part in pending:
            part.result()

    def close(self) -> None:
        """Shut the threads down; `apply` starts new ones."""
        if self._pool is not None and self._process == os.getpid():
            self._pool.shutdown()
        self._pool = None

    def __getstate__(self) -> dict[str, Any]:
        """State without the threads: a copy starts its own."""
        return {**self.__dict__, "_pool": None}
