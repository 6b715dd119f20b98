"""The page that compares the papers' claims with a run's results, as Markdown and as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import lu2021, lu2021_claims, zhou2025, zhou2025_claims
from benchmarks.figures.finding import Claim, Finding
from benchmarks.figures.grid import MissingResults
from benchmarks.html import render

if TYPE_CHECKING:
    from benchmarks.suites.results import Results

PAPERS: dict[str, tuple[str, Any, tuple[Claim, ...]]] = {
    "zhou2025": ("Zhou et al. 2025", zhou2025, zhou2025_claims.CLAIMS),
    "lu2021": ("Lu et al. 2021", lu2021, lu2021_claims.CLAIMS),
}
"""Citation, module of figures and claims, by name."""

VERDICTS = {
    "reproduces": ("reproduces", "reproduce"),
    "partly": ("holds in part", "hold in part"),
    "does not": ("does not reproduce", "do not reproduce"),
    "not measured": ("is not measured", "are not measured"),
}
"""Singular and plural of the verdicts."""


def papers(results: Results) -> list[str]:
    """Names of the papers whose settings a run's suite has.

    Raises:
        MissingResults: it has those of no paper.
    """
    found, lacking = [], []
    for name, (_, figures, _) in PAPERS.items():
        try:
            figures.grid(results)
            found.append(name)
        except MissingResults as error:
            lacking.append(str(error))
    if not found:
        raise MissingResults("; ".join(lacking))
    return found


def findings(results: Results, paper: str) -> list[tuple[Claim, Finding]]:
    """Every claim of a paper with its finding."""
    _, figures, claims = PAPERS[paper]
    cells = figures.grid(results)
    return [(claim, claim.find(cells)) for claim in claims]


def summary(found: Sequence[tuple[Claim, Finding]]) -> str:
    """Such as "Of 8 claims 5 reproduce, 2 hold in part, 1 does not reproduce."."""
    number = Counter(finding.verdict for _, finding in found)
    parts = [
        f"{number[verdict]} {words[number[verdict] > 1]}" for verdict, words in VERDICTS.items() if number[verdict]
    ]
    return f"Of {len(found)} claims {', '.join(parts)}."


def provenance(results: Results) -> str:
    """Suite, commit and sizes behind the findings, in a line."""
    episodes = {len(results.suite.evaluation_seeds(cell.env_id)) for cell in results.suite.cells}
    seeds = {row["training_seed"] for row in results.rows} - {0}
    text = f"suite {results.suite.name}, commit {results.manifest['commit'][:12]}, "
    text += f"{len(seeds)} training{'s' if len(seeds) != 1 else ''} of every learner, "
    return f"{text}{' or '.join(map(str, sorted(episodes)))} held-out episodes a cell; brackets are 95 % intervals"


def markdown(results: Results) -> list[str]:
    """Lines of one table per paper."""
    lines: list[str] = []
    for name in papers(results):
        found = findings(results, name)
        lines += [f"{PAPERS[name][0]}: {summary(found)} ({provenance(results)}.)", ""]
        lines += ["| | the paper says | found | | why |", "|---|---|---|---|---|"]
        lines += [f"| {c.figure} | {c.says} | {text} | **{verdict}** | {c.why} |" for c, (verdict, text) in found]
        lines.append("")
    return lines


def html(results: Results) -> str:
    """A self-contained HTML page."""
    found = {PAPERS[name][0]: findings(results, name) for name in papers(results)}
    summaries = {citation: summary(claims) for citation, claims in found.items()}
    return render("claims.html", papers=found, summaries=summaries, provenance=provenance(results))


def write(results: Results, folder: Path, as_html: bool = False) -> list[Path]:
    """Write claims.md, and claims.html if asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"claims.md": "\n".join(markdown(results))} | ({"claims.html": html(results)} if as_html else {})
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]
