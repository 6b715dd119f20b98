"""The page that lays the papers' claims beside what a run found, as Markdown and as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import lu2021, lu2021_claims, zhou2025, zhou2025_claims
from benchmarks.figures.finding import Claim, Finding, Verdict
from benchmarks.figures.grid import MissingResults
from benchmarks.html import render

if TYPE_CHECKING:
    from benchmarks.suites.results import Results

PAPERS: dict[str, tuple[str, Any, Any]] = {
    "zhou2025": ("Zhou et al. 2025", zhou2025, zhou2025_claims),
    "lu2021": ("Lu et al. 2021", lu2021, lu2021_claims),
}
"""Citation, figures and claims, by name."""


def papers(results: Results) -> list[str]:
    """The papers whose settings a run's suite has.

    Raises:
        MissingResults: none.
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


def summary(found: Sequence[tuple[Claim, Finding]]) -> str:
    """Such as "Of 8 claims 5 reproduce, 2 partly, 1 does not"."""
    verdicts = Counter(finding.verdict for _, finding in found)
    words: dict[Verdict, str] = {
        "reproduces": "reproduce{s}",
        "partly": "hold{s} in part",
        "does not": "do{es} not reproduce",
        "not measured": "{is} not measured",
    }
    told = []
    for verdict, text in words.items():
        number = verdicts[verdict]
        if number:
            one = {"s": "s", "es": "es", "is": "is"} if number == 1 else {"s": "", "es": "", "is": "are"}
            told.append(f"{number} {text.format(**one)}")
    return f"Of {len(found)} claims {', '.join(told)}."


def provenance(results: Results) -> str:
    """What the findings are of, in a line."""
    episodes = {len(results.suite.evaluation_seeds(cell.env_id)) for cell in results.suite.cells}
    seeds = {row["training_seed"] for row in results.rows} - {0}
    told = f"suite {results.suite.name}, commit {results.manifest['commit'][:12]}, "
    told += f"{max(len(seeds), 0)} training{'s' if len(seeds) != 1 else ''} of every learner, "
    return f"{told}{' or '.join(map(str, sorted(episodes)))} held-out episodes a cell; brackets are 95 % intervals"


def markdown(results: Results) -> list[str]:
    """Lines of a table a paper."""
    lines: list[str] = []
    for name in papers(results):
        citation, _, claims = PAPERS[name]
        found = claims.findings(results)
        lines += [f"{citation}: {summary(found)} ({provenance(results)}.)", ""]
        lines += ["| | the paper says | found | | why |", "|---|---|---|---|---|"]
        for claim, (verdict, text) in found:
            lines.append(f"| {claim.figure} | {claim.says} | {text} | **{verdict}** | {claim.why} |")
        lines.append("")
    return lines


def html(results: Results) -> str:
    """A page of its own."""
    found = {PAPERS[name][0]: PAPERS[name][2].findings(results) for name in papers(results)}
    told = {citation: summary(claims) for citation, claims in found.items()}
    return render("claims.html", papers=found, told=told, provenance=provenance(results))


def write(results: Results, folder: Path, as_html: bool = False) -> list[Path]:
    """Write claims.md, and claims.html if asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"claims.md": "\n".join(markdown(results))} | ({"claims.html": html(results)} if as_html else {})
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]
