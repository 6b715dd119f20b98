"""A folder of results: written by appending alone, read with every check.

manifest.json     what is needed to run it again; written first, never changed
rows.csv          one row an episode, a block of them a job; every row ends with its own checksum
trainings.jsonl   one line a training: its seconds and its learning curve
bounds.csv        one row a bounded episode
runs.jsonl        one line a time that the suite was run into this folder
policies/         what was trained
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dtenv
from benchmarks.bounds import add_bounds
from benchmarks.env_settings import REPORTS
from benchmarks.suites.catalogue import SUITES
from benchmarks.suites.suite import Cell, Suite
from dtenv.oracle import Solution

FORMAT = 1
"""Of the folder."""

KEY = ("cell", "agent", "training_seed", "seed")
ABOUT = ("cell", "agent", "training_seed", "env_id", "scenario", "seed", "num_users", "num_servers", "slots")
WHOLE = ("training_seed", "seed", "num_users", "num_servers", "slots")
TEXT = ("cell", "agent", "env_id", "scenario", "proof")
"""Columns of whole numbers and of text; all others are of floats."""


class ResultsError(ValueError):
    """A folder is no results, or they are broken; the message names file, line and what is wrong."""


@dataclass(frozen=True)
class Results:
    """What stands in a folder."""

    folder: Path
    suite: Suite
    manifest: Mapping[str, Any]
    rows: list[dict[str, Any]]
    """one an episode, in the suite's order; with "bound" where the episode has one, else None"""
    trainings: list[dict[str, Any]]
    """cell, agent, training_seed, steps, seconds, and curve: points of steps, seconds and means while learning"""
    bounds: list[dict[str, Any]]
    """cell, seed, bound, proof"""

    def of(self, cell: Cell) -> list[dict[str, Any]]:
        """A cell's rows."""
        return [row for row in self.rows if cell.holds(row)]

    def proofs(self, cell: Cell) -> list[str]:
        """How a cell's bounds were proven."""
        return sorted({row["proof"] for row in self.bounds if cell.holds(row)})


def columns(suite: Suite) -> list[str]:
    """Of a suite's rows."""
    metrics = (name for cell in suite.cells for name in REPORTS[cell.env_id].columns)
    return [*ABOUT, *dict.fromkeys(metrics)]


BOUND_COLUMNS = ("cell", "seed", "bound", "proof")


def checked(values: Sequence[Any]) -> str:
    """A row as a line of CSV, whose last field is a checksum of the others."""
    texts = ["" if value is None else str(value) for value in values]
    return _line([*texts, _checksum(texts)])


def _line(fields: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


def _checksum(texts: Sequence[str]) -> str:
    return hashlib.sha256("\x1f".join(texts).encode()).hexdigest()[:8]


def append(path: Path, text: str) -> None:
    """Add whole lines to a file in one write, and wait until they are on the disk."""
    with path.open("ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def append_rows(path: Path, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, if any, to a file of CSV that ends each with a checksum; with its head, where it is new."""
    if not rows:
        return
    head = "" if path.exists() and path.stat().st_size else _line([*names, "check"])
    append(path, head + "".join(checked([row.get(name) for name in names]) for row in rows))


def read_rows(
    path: Path, names: Sequence[str], whole: Sequence[str] = WHOLE, text: Sequence[str] = TEXT
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Line number, offset in bytes and typed row of every row of a file.

    Args:
        path: that `append_rows` wrote.
        names: of its columns.
        whole: columns of whole numbers.
        text: columns of text; all others are of floats.

    Raises:
        ResultsError: the head is another's, a row is cut, or its checksum is wrong.
    """
    head, *lines = path.read_text().splitlines(keepends=True) or [""]
    if head != _line([*names, "check"]):
        raise ResultsError(f"{path} line 1: columns must be {', '.join([*names, 'check'])}, got {head.strip()!r}")
    offset = len(head.encode())
    for number, line in enumerate(lines, 2):
        fields = next(csv.reader([line]), [])
        if not line.endswith("\n") or len(fields) != len(names) + 1:
            raise ResultsError(f"{path} line {number}: must have {len(names) + 1} fields, got {line.strip()[:80]!r}")
        *texts, check = fields
        if check != _checksum(texts):
            raise ResultsError(
                f"{path} line {number}: check must be {_checksum(texts)} for what the row says, got {check!r}: "
                "the row was changed after it was written"
            )
        try:
            yield number, offset, {n: _typed(t, n in whole, n in text) for n, t in zip(names, texts, strict=True)}
        except ValueError as error:
            raise ResultsError(f"{path} line {number}: {error}") from None
        offset += len(line.encode())


def _typed(field: str, whole: bool, text: bool) -> Any:
    if text:
        return field
    if field == "":
        return None  # a measure that the row's environment does not have
    return int(field) if whole else float(field)


def unique(path: Path, numbered: Iterable[tuple[int, int, dict[str, Any]]], key: Sequence[str]) -> list[dict[str, Any]]:
    """The rows, of which no two may have the same key.

    Raises:
        ResultsError: two have.
    """
    seen: dict[tuple[Any, ...], int] = {}
    rows = []
    for number, _, row in numbered:
        own = tuple(row[name] for name in key)
        if own in seen:
            told = ", ".join(f"{name}={value}" for name, value in zip(key, own, strict=True))
            raise ResultsError(f"{path} line {number}: repeats line {seen[own]} ({told})")
        seen[own] = number
        rows.append(row)
    return rows


def read_manifest(folder: Path, version: str | None = dtenv.__version__) -> tuple[dict[str, Any], Suite]:
    """A folder's manifest and its suite.

    Args:
        folder: of the results.
        version: of dtenv, which they must be of; None takes any.

    Raises:
        ResultsError: there is none, or it is of another format, version or suite.
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
    if version is not None and manifest["dtenv"] != version:
        raise ResultsError(
            f"{path}: dtenv must be {version}, got {manifest['dtenv']!r}: results of two versions are not mixed; "
            f"run the suite again, or check out commit {manifest['commit']}"
        )
    name = manifest["suite"]
    if name not in SUITES:
        raise ResultsError(f"{path}: suite {name!r} is unknown; known: {', '.join(SUITES)}")
    if manifest["suite_sha256"] != SUITES[name].sha256:
        raise ResultsError(f"{path}: suite {name!r} is no longer what it was then; run it into a new folder")
    return manifest, SUITES[name]


def load(folder: Path | str, version: str | None = dtenv.__version__) -> Results:
    """Everything in a folder, checked.

    Args:
        folder: that `python -m benchmarks run` wrote.
        version: of dtenv, which the results must be of; None takes any.

    Raises:
        ResultsError: as its message says.
        BoundExceeded: a score is above a proven bound: an error of dtenv's.
    """
    folder = Path(folder)
    manifest, suite = read_manifest(folder, version)
    rows = unique(folder / "rows.csv", read_rows(_present(folder / "rows.csv"), columns(suite)), KEY)
    complete(folder / "rows.csv", suite, rows)
    path = folder / "bounds.csv"
    bounds = unique(path, read_rows(path, BOUND_COLUMNS), ("cell", "seed")) if path.exists() else []
    for cell in suite.cells:
        own = [row for row in bounds if cell.holds(row)]
        solutions = [Solution(None, float("-inf"), row["bound"], row["proof"], 0.0) for row in own]
        add_bounds([row for row in rows if cell.holds(row)], [row["seed"] for row in own], solutions)
    place = {name: i for i, name in enumerate([cell.name for cell in suite.cells] + suite.agents())}
    rows.sort(key=lambda row: (place[row["cell"]], place[row["agent"]], row["training_seed"], row["seed"]))
    return Results(folder, suite, manifest, rows, read_trainings(folder), bounds)


def read_trainings(folder: Path) -> list[dict[str, Any]]:
    """Every training's summary; none, where nothing was trained.

    Raises:
        ResultsError: a line is no JSON, or tells of a training again.
    """
    path = folder / "trainings.jsonl"
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        try:
            told = json.loads(line)
            key = told["cell"], told["agent"], told["training_seed"]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise ResultsError(f"{path} line {number}: no summary of a training: {line[:80]!r}") from None
        if key in found:
            raise ResultsError(f"{path} line {number}: {key[1]!r} from seed {key[2]} on {key[0]!r} stands there twice")
        found[key] = told
    return list(found.values())


def _present(path: Path) -> Path:
    if not path.exists():
        raise ResultsError(f"{path.parent}: no results yet, {path.name} is missing")
    return path


def complete(path: Path, suite: Suite, rows: Sequence[Mapping[str, Any]]) -> None:
    """Check that every agent played every held-out episode of a cell.

    Raises:
        ResultsError: rows are of something else than the suite, or some are missing.
    """
    cells, agents = {cell.name: cell for cell in suite.cells}, {*suite.agents()}
    played: dict[tuple[str, str, int], set[int]] = {}
    for row in rows:
        for name, known in (("cell", cells), ("agent", agents)):
            if row[name] not in known:
                raise ResultsError(f"{path}: {name} {row[name]!r} is not in suite {suite.name!r}")
        played.setdefault((row["cell"], row["agent"], row["training_seed"]), set()).add(row["seed"])
    for (cell, agent, training), seeds in played.items():
        due = set(suite.evaluation_seeds(cells[cell].env_id))
        if seeds != due:
            raise ResultsError(
                f"{path}: {agent!r} (training seed {training}) on {cell!r} has {len(seeds & due)} of {len(due)} "
                f"episodes and {len(seeds - due)} that are not the suite's; run the suite again to finish it"
            )
