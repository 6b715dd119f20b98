"""Draw figures of the papers from a run's results.

python -m benchmarks figure zhou2025-fig3
python -m benchmarks figure zhou2025-fig5 runs/zhou2025-quick
python -m benchmarks figure claims runs/zhou2025-quick
python -m benchmarks figure all runs/lu2021-quick --out benchmarks/results/lu2021
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.figures import claims, drawing, lu2021, zhou2025
from benchmarks.figures.grid import MissingResults
from benchmarks.suites.results import Results, load

FIGURES: dict[str, Callable[[Any], Any]] = {**zhou2025.FIGURES, **lu2021.FIGURES}
"""Functions of results, by name; zhou2025-fig3 needs no results."""


@dataclass
class DrawFigure:
    """Settings of a figure."""

    name: tyro.conf.Positional[str]
    """zhou2025-fig3 … zhou2025-fig10, lu2021-fig7 … lu2021-fig10, "claims", or "all" of the suite's paper"""
    folder: tyro.conf.Positional[Path | None] = None
    """folder of the results; zhou2025-fig3 needs none"""
    out: Path | None = None
    """folder to write to; by default the subfolder figures of the results, or runs/figures"""
    svg: bool = False
    """write figures as SVG too, for papers"""
    html: bool = False
    """write the claims as HTML too"""


def main(settings: DrawFigure) -> None:
    """Draw, and print the paths written."""
    known = [*FIGURES, "claims", "all"]
    if settings.name not in known:
        raise SystemExit(f"name must be one of {', '.join(known)}, got {settings.name!r}")
    if settings.folder is None and settings.name != "zhou2025-fig3":
        raise SystemExit(f"folder must be given: {settings.name} is drawn from results of `python -m benchmarks run`")
    out = settings.out or (settings.folder / "figures" if settings.folder else Path("runs/figures"))
    try:
        results = load(settings.folder) if settings.folder else None
        for path in draw(settings.name, results, out, svg=settings.svg, html=settings.html):
            print(path)
    except ValueError as error:
        raise SystemExit(str(error)) from None


def draw(name: str, results: Results | None, out: Path, *, svg: bool = False, html: bool = False) -> list[Path]:
    """Write one figure, the claims, or all of the paper; return the paths written.

    With "all", figures whose results are missing are left out with a message, such as those that replay trained
    policies where a folder holds only rows.

    Raises:
        MissingResults: results lack what the one figure needs, or belong to no paper.
    """
    if name == "all":
        assert results is not None
        own = tuple(claims.papers(results))
        written = []
        for each in [*(figure for figure in FIGURES if figure.startswith(own)), "claims"]:
            try:
                written += draw(each, results, out, svg=svg, html=html)
            except MissingResults as error:
                print(f"left out: {each}: {error}")
        return written
    if name == "claims":
        assert results is not None
        return claims.write(results, out, html)
    figure = FIGURES[name](results)
    return drawing.save(figure, out, name, figure.get_supxlabel(), svg)


if __name__ == "__main__":
    main(tyro.cli(DrawFigure))
