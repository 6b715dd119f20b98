"""HiGHS, as the solvers of this folder use it."""

from __future__ import annotations

import math
from typing import Any

from dtenv.oracle.search import Search

TOLERANCE = 1e-9
"""Feasibility that HiGHS is asked for."""


def new_model(search: Search | None = None) -> Any:
    """An empty, silent model of one thread and tight tolerances, which ends when the search is over.

    Raises:
        ModuleNotFoundError: HiGHS is not installed.
    """
    try:
        import highspy
    except ModuleNotFoundError as error:
        message = 'this optimum needs HiGHS: pip install "dtenv[oracle]" (not beside ortools in one process)'
        raise ModuleNotFoundError(message, name=error.name) from None
    model = highspy.Highs()
    model.silent()
    for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance", "mip_feasibility_tolerance"):
        model.setOptionValue(option, TOLERANCE)
    model.setOptionValue("parallel", "off")
    if search is not None:

        def end(event: Any) -> None:  # running Python lets a Ctrl-C through to the search
            if search.over:
                event.interrupt()

        model.cbMipInterrupt.subscribe(end)
        model.cbSimplexInterrupt.subscribe(end)
    return model


def limit_time(model: Any, seconds: float) -> None:
    """Let the model's next run take so long."""
    model.setOptionValue("time_limit", model.getRunTime() + min(seconds, 1e9) if seconds < math.inf else math.inf)
