"""What ends a solver's search early, its time limit or Ctrl-C, and the bar that shows how it goes."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import Any

from dtenv.validation import positive_number


class Search:
    """A time limit, Ctrl-C and a progress bar around one search.

    Inside the `with` block a first Ctrl-C sets `over`, so that the solver returns the best that it has with its bound;
    a second one interrupts as usual. In other threads than the main one Ctrl-C is left alone.

    Args:
        what: the bar's label.
        time_limit: seconds, may be math.inf.
        progress: whether to show a bar (on stderr).

    Raises:
        ValueError: time_limit is not a positive number.
        ModuleNotFoundError: a bar is asked for without tqdm.
    """

    def __init__(self, what: str, time_limit: float = math.inf, progress: bool = False):
        self._limit = math.inf if time_limit == math.inf else positive_number("time_limit", time_limit)
        self._interrupted = False
        self._bar: Any = None
        if progress:
            from tqdm import tqdm  # of the extra "oracle"

            self._bar = tqdm(bar_format="{desc}{postfix} [{elapsed}]", desc=what)
        self._start = time.perf_counter()

    def __enter__(self) -> Search:
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
        """Spent so far."""
        return time.perf_counter() - self._start

    @property
    def left(self) -> float:
        """Seconds until the time limit; 0 once the search is over."""
        return 0.0 if self._interrupted else max(0.0, self._limit - self.seconds)

    @property
    def over(self) -> bool:
        """Whether to stop and return the best found."""
        return self.left == 0.0

    def tell(self, value: float, bound: float, note: str = "") -> None:
        """Show the best value and the best bound so far."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"best {value:.6g}, bound {bound:.6g}{', ' + note if note else ''}")
