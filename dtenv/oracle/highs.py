"""HiGHS models with the settings of this package's solvers."""

from __future__ import annotations

import math
from typing import Any

from dtenv.oracle.budget import SolveBudget

TOLERANCE = 1e-9
"""Feasibility tolerance of HiGHS."""


def new_model(budget: SolveBudget | None = None) -> Any:
    """Return a silent single-threaded model, interrupted at the end of `budget`; ModuleNotFoundError without HiGHS."""
    try:
        import highspy
    except ModuleNotFoundError as error:
        message = 'this optimum needs HiGHS: pip install "dtenv[oracle]" (not in one process with ortools)'
        raise ModuleNotFoundError(message, name=error.name) from None
    model = highspy.Highs()
    model.silent()
    for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance", "mip_feasibility_tolerance"):
        model.setOptionValue(option, TOLERANCE)
    model.setOptionValue("parallel", "off")
    if budget is not None:

        def end(event: Any) -> None:  # running Python lets a Ctrl-C through to the search
            if budget.exhausted:
                event.interrupt()

        model.cbMipInterrupt.subscribe(end)
        model.cbSimplexInterrupt.subscribe(end)
    return model


def limit_time(model: Any, seconds: float) -> None:
    """Set the time limit of the model's next run."""
    model.setOptionValue("time_limit", model.getRunTime() + min(seconds, 1e9) if seconds < math.inf else math.inf)
