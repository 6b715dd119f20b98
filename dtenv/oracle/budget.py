"""Time limit, Ctrl-C handling and progress bar of a solver run."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import Any

from dtenv.validation import positive_number


class SolveBudget:
    """Time limit, Ctrl-C and progress bar of one solver run.

    Inside the `with` block a first Ctrl-C sets `exhausted`, so that the solver returns its best solution and bound; a
    second one interrupts as usual. Outside the main thread Ctrl-C is not handled.

    Args:
        what: label of the bar.
        time_limit: seconds, may be math.inf.
        progress: whether to show a bar (on stderr).

    Raises:
        ValueError: time_limit is not positive.
        ModuleNotFoundError: progress without tqdm.
    """

    def __init__(self, what: str, time_limit: float = math.inf, progress: bool = False):
        self._limit = math.inf if time_limit == math.inf else positive_number("time_limit", time_limit)
        self._interrupted = False
        self._bar: Any = None
        if progress:
            from tqdm import tqdm  # in the extra "oracle"

            self._bar = tqdm(bar_format="{desc}{postfix} [{elapsed}]", desc=what)
        self._start = time.perf_counter()

    def __enter__(self) -> SolveBudget:
        self._in_main = threading.current_thread() is threading.main_thread()
        if self._in_main:
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._in_main:
            signal.signal(signal.SIGINT, self._before)
        if self._bar is not None:
            self._bar.close()

    def _interrupt(self, signum: int, frame: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    @property
    def seconds(self) -> float:
        """Seconds elapsed."""
        return time.perf_counter() - self._start

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit; 0 once the search is over."""
        return 0.0 if self._interrupted else max(0.0, self._limit - self.seconds)

    @property
    def exhausted(self) -> bool:
        """Whether to stop and return the best found."""
        return self.seconds_left == 0.0

    def report(self, value: float, bound: float, note: str = "") -> None:
        """Show the best value and the best bound in the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"best {value:.6g}, bound {bound:.6g}{', ' + note if note else ''}")
