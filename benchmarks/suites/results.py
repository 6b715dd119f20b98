"""Folder of results, written only by appending and read with all checks.

manifest.json     everything needed to repeat the run; written first, never changed
rows.csv          one row per episode, in a block per job; every row ends with its own checksum
trainings.jsonl   one line per training: its seconds and its learning curve
bounds.csv        one row per bounded episode
runs.jsonl        one line per run of the suite into this folder
policies/         trained policies
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import dtenv
from benchmarks.bounds import add_bounds
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.suites.catalogue import SUITES
from benchmarks.suites.suite import Cell, Suite
from dtenv.oracle import Solution
from dtenv.reporting.compressed import read_text, stored, unpack

FORMAT = 1
"""Version of the folder's format."""

KEY = ("cell", "agent", "training_seed", "seed")
ABOUT = ("cell", "agent", "training_seed", "env_id", "scenario", "seed", "num_users", "num_servers", "slots")
WHOLE = ("training_seed", "seed", "num_users", "num_servers", "slots")
TEXT = ("cell", "agent", "env_id", "scenario", "proof")
"""Columns of integers and of text; all others are of floats."""
BOUND_COLUMNS = ("cell", "seed", "bound", "proof")

block_of = itemgetter("cell", "agent", "training_seed")
"""Identity of the job behind a row or a training."""


class ResultsError(ValueError):
    """A folder holds no results, or broken ones; the message names file, line and problem."""


@dataclass(frozen=True)
class Results:
    """Contents of a folder."""

    folder: Path
    suite: Suite
    manifest: Mapping[str, Any]
    rows: list[dict[str, Any]]
    """one per episode, in the suite's order; "bound" is None for an episode without a bound"""
    trainings: list[dict[str, Any]]
    """cell, agent, training_seed, steps, seconds, and curve: points of steps, seconds and means while learning"""
    bounds: list[dict[str, Any]]
    """cell, seed, bound, proof"""

    def of(self, cell: Cell) -> list[dict[str, Any]]:
        """Rows of a cell."""
        return [row for row in self.rows if cell.holds(row)]

    def proofs(self, cell: Cell) -> list[str]:
        """Proof methods of a cell's bounds."""
        return sorted({row["proof"] for row in self.bounds if cell.holds(row)})


def columns(suite: Suite) -> list[str]:
    """Columns of a suite's rows."""
    metrics = (name for cell in suite.cells for name in ENV_SETTINGS[cell.env_id].columns)
    return [*ABOUT, *dict.fromkeys(metrics)]


def append(path: Path, text: str) -> None:
    """Append whole lines to a file in one write, and wait until they are on the disk; unpack a compressed file."""
    unpack(path)
    with path.open("ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def append_rows(path: Path, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows, if any, to a CSV file whose last column is a checksum of the others; a new file gets a header."""
    if not rows:
        return
    unpack(path)
    lines = [] if path.exists() and path.stat().st_size else [[*names, "check"]]
    for row in rows:
        texts = ["" if row.get(name) is None else str(row[name]) for name in names]
        lines.append([*texts, _checksum(texts)])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    append(path, text.getvalue())


def _checksum(texts: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:8]


def read_rows(
    path: Path, names: Sequence[str], whole: Sequence[str] = WHOLE, text: Sequence[str] = TEXT
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield line number, offset in bytes and typed values of every row of a file that `append_rows` wrote.

    Args:
        path: the file.
        names: its columns.
        whole: columns of integers.
        text: columns of text; all others are of floats.

    Raises:
        ResultsError: the header differs, a row is cut, or its checksum is wrong.
    """
    head, *lines = read_text(path).splitlines(keepends=True) or [""]
    if head != ",".join([*names, "check"]) + "\n":
        raise ResultsError(f"{path} line 1: columns must be {', '.join([*names, 'check'])}, got {head.strip()!r}")
    offset = len(head.encode())
    for number, line in enumerate(lines, 2):
        fields = next(csv.reader([line]), [])
        if not line.endswith("\n") or len(fields) != len(names) + 1:
            raise ResultsError(f"{path} line {number}: must have {len(names) + 1} fields, got {line.strip()[:80]!r}")
        *texts, check = fields
        if check != _checksum(texts):
            raise ResultsError(
                f"{path} line {number}: check must be {_checksum(texts)} for the row's values, got {check!r}: "
                "the row was changed after it was written"
            )
        row: dict[str, Any] = dict(zip(names, texts, strict=True))
        try:
            for name, value in row.items():
                if value == "" and name not in text:
                    row[name] = None  # a metric of another environment
                elif name not in text:
                    row[name] = int(value) if name in whole else float(value)
            yield number, offset, row
        except ValueError as error:
            raise ResultsError(f"{path} line {number}: {error}") from None
        offset += len(line.encode())


def unique(path: Path, numbered: Iterable[tuple[int, int, dict[str, Any]]], key: Sequence[str]) -> list[dict[str, Any]]:
    """Rows without line numbers and offsets; raises ResultsError if two have the same key."""
    seen: dict[tuple[Any, ...], int] = {}
    rows = []
    for number, _, row in numbered:
        own = tuple(row[name] for name in key)
        if own in seen:
            where = ", ".join(f"{name}={value}" for name, value in zip(key, own, strict=True))
            raise ResultsError(f"{path} line {number}: repeats line {seen[own]} ({where})")
        seen[own] = number
        rows.append(row)
    return rows


def read_manifest(folder: Path) -> tuple[dict[str, Any], Suite]:
    """Manifest and suite of a folder.

    Raises:
        ResultsError: there is no manifest, or its format, version or suite differs.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise ResultsError(f"{folder}: no results, manifest.json is missing; `python -m benchmarks run` writes them")
    try:
        manifest = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ResultsError(f"{path} line {error.lineno}: no JSON: {error.msg}") from None
    if not isinstance(manifest, dict) or "suite" not in manifest:
        raise ResultsError(f"{path}: suite is missing: these are no results of `python -m benchmarks run`")
    if manifest.get("format") != FORMAT:
        raise ResultsError(f"{path}: format must be {FORMAT}, got {manifest.get('format')!r}")
    if manifest["dtenv"] != dtenv.__version__:
        raise ResultsError(
            f"{path}: dtenv must be {dtenv.__version__}, got {manifest['dtenv']!r}: results of two versions "
            f"do not mix; run the suite again, or check out commit {manifest['commit']}"
        )
    name = manifest["suite"]
    if name not in SUITES:
        raise ResultsError(f"{path}: suite {name!r} is unknown; known: {', '.join(SUITES)}")
    if manifest["suite_sha256"] != SUITES[name].sha256:
        raise ResultsError(f"{path}: suite {name!r} has changed since then; run it into a new folder")
    return manifest, SUITES[name]


def load(folder: Path | str) -> Results:
    """Load and check a folder that `python -m benchmarks run` wrote.

    Raises:
        ResultsError: results are missing, incomplete or broken, or their version or suite differs.
        BoundExceeded: a score is above a proven bound, which is an error in dtenv.
    """
    folder = Path(folder)
    manifest, suite = read_manifest(folder)
    path = folder / "rows.csv"
    if not stored(path):
        raise ResultsError(f"{folder}: no results yet, {path.name} is missing")
    rows = unique(path, read_rows(path, columns(suite)), KEY)
    complete(path, suite, rows)
    bounds = read_bounds(folder)
    for cell in suite.cells:
        own = [row for row in bounds if cell.holds(row)]
        solutions = [Solution(None, float("-inf"), row["bound"], row["proof"], 0.0) for row in own]
        add_bounds([row for row in rows if cell.holds(row)], [row["seed"] for row in own], solutions)
    place = {name: i for i, name in enumerate([cell.name for cell in suite.cells] + suite.agents())}
    rows.sort(key=lambda row: (place[row["cell"]], place[row["agent"]], row["training_seed"], row["seed"]))
    return Results(folder, suite, manifest, rows, read_trainings(folder), bounds)


def read_bounds(folder: Path) -> list[dict[str, Any]]:
    """Bounds of a folder, none without bounds.csv; raises ResultsError if the file is broken."""
    path = folder / "bounds.csv"
    return unique(path, read_rows(path, BOUND_COLUMNS), ("cell", "seed")) if stored(path) else []


def read_trainings(folder: Path) -> list[dict[str, Any]]:
    """Summaries of all trainings, none without trainings.jsonl; raises ResultsError if the file is broken."""
    path = folder / "trainings.jsonl"
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, line in enumerate(read_text(path).splitlines() if stored(path) else [], 1):
        try:
            summary = json.loads(line)
            key = block_of(summary)
        except (json.JSONDecodeError, KeyError, TypeError):
            raise ResultsError(f"{path} line {number}: not the summary of a training: {line[:80]!r}") from None
        if key in found:
            raise ResultsError(f"{path} line {number}: {key[1]!r} from seed {key[2]} on {key[0]!r} is listed twice")
        found[key] = summary
    return list(found.values())


def complete(path: Path, suite: Suite, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise ResultsError unless all rows are of the suite and every agent played all held-out episodes of its cells."""
    cells, agents = {cell.name: cell for cell in suite.cells}, {*suite.agents()}
    played: dict[tuple[str, str, int], set[int]] = {}
    for row in rows:
        for name, known in (("cell", cells), ("agent", agents)):
            if row[name] not in known:
                raise ResultsError(f"{path}: {name} {row[name]!r} is not in suite {suite.name!r}")
        played.setdefault(block_of(row), set()).add(row["seed"])
    for (cell, agent, training), seeds in played.items():
        due = set(suite.evaluation_seeds(cells[cell].env_id))
        if seeds != due:
            raise ResultsError(
                f"{path}: {agent!r} (training seed {training}) on {cell!r} has {len(seeds & due)} of {len(due)} "
                f"episodes and {len(seeds - due)} that are not the suite's; run the suite again to finish it"
            )
