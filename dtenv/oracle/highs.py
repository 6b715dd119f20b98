"""HiGHS, as the solvers of this folder use it."""

from __future__ import annotations

from typing import Any

from dtenv.oracle.search import Search


def new_model(search: Search) -> Any:
    """An empty, silent HiGHS model with tight tolerances, which ends when the search is over.

    Raises:
        ModuleNotFoundError: HiGHS is not installed.
    """
    try:
        import highspy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'this optimum needs HiGHS: pip install "dtenv[oracle]" (not beside ortools in one process)',
            name=error.name,
        ) from None
    model = highspy.Highs()
    model.silent()
    for option in ("primal_feasibility_tolerance", "dual_feasibility_tolerance", "mip_feasibility_tolerance"):
        model.setOptionValue(option, 1e-9)
    model.setOptionValue("threads", 1)

    def end(event: Any) -> None:  # running Python lets a Ctrl-C through to the search
        if search.over:
            event.interrupt()

    model.cbMipInterrupt.subscribe(end)
    model.cbSimplexInterrupt.subscribe(end)
    return model
