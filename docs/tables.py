"""Fill the generated tables of the pages: `python docs/tables.py` (`--check` changes nothing, and fails if one is old).

A page marks where a table goes, and which one:

    <!-- table: balanced/table.md `balanced`, S = 15 -->
    <!-- end -->

takes, from `benchmarks/results/balanced/table.md`, the lines from the one that begins with "`balanced`, S = 15" to the
next section; without such a beginning the whole file. `<!-- summary -->` is README's table of one line an environment.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
BLOCK = re.compile(r"<!-- (table|summary)(?:: (\S+)(?: ([^\n>]+?))?)? -->\n.*?<!-- end -->\n", re.DOTALL)
SUMMARY = (
    ("DTAssociation-v0", "balanced", "`balanced`, S = 15", "local-search", "ppo"),
    ("DTPlacementMA-v0", "placement", "`paper-100x10`", "greedy-add", "mappo"),
    ("DTMigration-v0", "migration", "`balanced`", "lookahead", "hindsight"),
)


def section(file: str, start: str | None = None) -> str:
    """The section of a results file whose first line begins with `start`, or the whole file."""
    text = (RESULTS / file).read_text(encoding="utf-8")
    if start is None:
        return text.strip()
    sections = re.split(r"\n(?=`)", text)
    (found,) = (part for part in sections if part.startswith(start))
    return found.strip()


def summary() -> str:
    """One line an environment: how far a heuristic and a trained agent are from a reference (0) to the bound (1)."""
    lines = ["| environment, preset | 0 | heuristic | trained agent | 1 |", "|---|---|---|---|---|"]
    for env_id, folder, start, heuristic, learner in SUMMARY:
        text = section(f"{folder}/table.md", start)
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
        gap = next(i for i, head in enumerate(rows[0]) if head.startswith("gap to bound"))
        cells = {row[0]: row for row in rows[2:]}
        zero = re.search(r"\(0 ([\w-]+)", rows[0][gap])
        bound = re.search(r"episodes: (-?[\d.]+) \[", text)
        assert zero and bound
        preset = start.split("`")[1]
        agents = " | ".join(f"{name} {cells[name][gap]}" for name in (heuristic, learner))
        reference = f"{zero[1]}, {cells[zero[1]][1].split()[0]}"
        lines.append(f"| `{env_id}`, `{preset}` | {reference} | {agents} | bound, {bound[1]} |")
    return "\n".join(lines)


def filled(page: str) -> str:
    """The page with its tables as the results have them."""

    def fill(match: re.Match[str]) -> str:
        kind, file, start = match.groups()
        body = summary() if kind == "summary" else section(file, start)
        head = match[0].splitlines()[0]
        return f"{head}\n{body}\n<!-- end -->\n"

    return BLOCK.sub(fill, (ROOT / page).read_text(encoding="utf-8"))


def main() -> int:
    """Write the pages, or with `--check` name those that are old."""
    old = [page for page in PAGES if filled(page) != (ROOT / page).read_text(encoding="utf-8")]
    for page in old:
        print(f"{page}: tables are not those of the results")
        if "--check" not in sys.argv[1:]:
            (ROOT / page).write_text(filled(page), encoding="utf-8")
    return int(bool(old) and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
