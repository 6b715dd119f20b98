"""HTML report of a run in one self-contained file: tables, plots, an animated episode and provenance.

python -m benchmarks report runs/balanced
python -m benchmarks report runs/zhou2025-quick --out report.html
"""

from __future__ import annotations

import base64
import io
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro

from agents.training.gif import record_gif
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.figures.grid import MissingResults
from benchmarks.figures.played import policies
from benchmarks.html import render
from benchmarks.report import plots as report_plots
from benchmarks.statistics import score_matrix, two_way_interval
from benchmarks.suites.results import Results, load
from benchmarks.suites.suite import Cell
from benchmarks.suites.tables import bound_note, tables
from dtenv.reporting import jsonl

PICTURES, FILM_PIXELS, FILM_COLOURS, FILM_BYTES = 24, 720, 64, 700_000
"""Frames of the animated episode, their width and colours, and the size above which frames are left out."""


@dataclass
class WriteReport:
    """Settings of a report."""

    folder: tyro.conf.Positional[Path]
    """folder of the results"""
    out: Path | None = None
    """file to write; by default report.html in that folder"""


class Picture(NamedTuple):
    """Image embedded in the page."""

    source: str
    """data URI"""
    alt: str
    caption: str
    still: str = ""
    """data URI of one frame of an animation"""


class Shown(NamedTuple):
    """Cell of a table."""

    text: str
    interval: str
    """interval with its brackets, or nothing"""


def main(settings: WriteReport) -> None:
    """Write the report."""
    out = settings.out or settings.folder / "report.html"
    try:
        text = page(load(settings.folder))
    except ValueError as error:
        raise SystemExit(str(error)) from None
    out.write_text(text)
    print(f"{out}: {len(text.encode()) / 1e6:.1f} MB")


def page(results: Results) -> str:
    """HTML report of a run."""
    cells = [cell for cell in results.suite.cells if results.of(cell)]
    firsts = {cell.env_id: cell for cell in reversed(cells)}
    sections = [section(results, cell, first_of=firsts[cell.env_id] is cell) for cell in cells]
    return render("report.html", suite=results.suite, sections=sections, facts=facts(results), runs=runs(results))


def facts(results: Results) -> list[tuple[str, str]]:
    """Names and values of the run's provenance."""
    manifest, suite = results.manifest, results.suite
    seeds = sorted({row["seed"] for row in results.rows})
    trainings = sorted({row["training_seed"] for row in results.rows} - {0})
    known = [
        ("suite", f"{suite.name} ({manifest.get('suite_sha256', '')[:12]})"),
        ("environments", ", ".join(dict.fromkeys(cell.env_id for cell in suite.cells))),
        ("begun", str(manifest.get("date", ""))),
        ("command", manifest["command"]),
        ("commit", manifest["commit"]),
        ("versions", f"dtenv {manifest['dtenv']}, Python {manifest['python']}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in manifest["packages"].items())),
        ("hardware", manifest["machine"]),
        ("training seeds", ", ".join(map(str, trainings)) or "nothing was trained"),
        ("held-out episodes", f"{len(seeds)}, seeds {seeds[0]} to {seeds[-1]}"),
        ("rows", f"{len(results.rows):,}"),
    ]
    return [(name, value) for name, value in known if value]


def runs(results: Results) -> list[str]:
    """One line for each command that ran the suite into the folder."""
    runs = jsonl.read(results.folder / "runs.jsonl")
    return [f"{run['date']}: {run['command']} (commit {run['commit'][:12]}, {run['machine']})" for run in runs]


def section(results: Results, cell: Cell, *, first_of: bool) -> dict[str, Any]:
    """Template context of a cell; the first of an environment also has an episode and notes on the columns."""
    rows, learned = results.of(cell), [training.label for training in cell.trainings]
    matrices = {agent: score_matrix(rows, agent) for agent in dict.fromkeys(row["agent"] for row in rows)}
    ranked = dict(sorted(matrices.items(), key=lambda item: -item[1].mean()))
    bounds = [row["bound"] for row in rows if row["bound"] is not None]
    whole = bounds and len(bounds) == len(rows)  # a mean over fewer episodes would not compare
    parts = read_table(tables(cell, rows, results.trainings, bound_note(results, cell)))
    best = next(iter(ranked))
    intervals = {agent: two_way_interval(values) for agent, values in ranked.items()}
    limit = float(np.mean(bounds)) if whole else None
    drawn = [
        (
            report_plots.scores(intervals, learned, limit),
            f"Mean score a slot of {len(ranked)} agents; the highest is {best}'s, {intervals[best]}.",
            "Means and 95 % intervals" + ("; dashed: the mean proven bound" if whole else ""),
        ),
        (
            report_plots.spread({agent: values.mean(axis=0) for agent, values in ranked.items()}, learned),
            f"Spread of the scores of {next(iter(ranked.values())).shape[1]} held-out episodes, by agent.",
            "Episodes, each a mean over trainings: median, middle half, nine tenths",
        ),
    ]
    curves = dict(learning(results, cell))
    if curves:
        levels = {name: float(matrices[name].mean()) for name in cell.references if name in matrices}
        about = f"Score along training of {', '.join(curves)}."
        caption = "Learners exploring: mean and range over trainings; dashed: heuristics on held-out episodes"
        drawn.append((report_plots.curves(curves, levels), about, caption))
    name = re.sub(r"\W+", "-", f"{cell.env_id}-{cell.name}")
    pictures = [
        Picture(data_uri(report_plots.svg(figure, f"{name}-{i}"), "image/svg+xml"), alt, caption)
        for i, (figure, alt, caption) in enumerate(drawn)
    ]
    shown = played(results, cell, sorted(ranked, key=lambda agent: agent not in learned)) if first_of else None
    notes = [f"{figure.head}: {figure.note}" for figure in ENV_SETTINGS[cell.env_id].figures if first_of]
    return {"name": name, "cell": cell, **parts, "pictures": pictures, "film": shown, "notes": notes}


def learning(results: Results, cell: Cell) -> Iterator[tuple[str, list[list[Mapping[str, float]]]]]:
    """Yield the learning curves of each of a cell's learners that has curves with scores."""
    for training in cell.trainings:
        own = [t["curve"] for t in results.trainings if t["agent"] == training.label and cell.holds(t)]
        scored = [scored for curve in own if (scored := [point for point in curve if "score" in point])]
        if scored:
            yield training.label, scored


def played(results: Results, cell: Cell, agents: Sequence[str]) -> Picture | None:
    """Animation of the first held-out episode, played by the first agent that has policies."""
    seed = min(row["seed"] for row in results.of(cell))
    for agent in agents:
        try:
            policy = policies(results, cell, agent)[0]
        except MissingResults:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "episode.gif"
            record_gif(path, cell.env_id, policy, cell.resolve(), seed, PICTURES)
            data = path.read_bytes()
        moving, still = small(data)
        about = f"{agent} playing held-out episode {seed}"
        return Picture(data_uri(moving, "image/gif"), f"{about}, as a map", about, data_uri(still, "image/png"))
    return None


def small(gif: bytes) -> tuple[bytes, bytes]:
    """Shrink a GIF in width and colours, and in frames if still large; return it and its last frame as PNG."""
    from PIL import Image, ImageSequence

    with Image.open(io.BytesIO(gif)) as moving:
        size = FILM_PIXELS, round(moving.height * FILM_PIXELS / moving.width)
        shown = [frame.convert("RGB").resize(size).quantize(FILM_COLOURS) for frame in ImageSequence.Iterator(moving)]
        seconds = moving.info["duration"] / 1000 * len(shown)
    still = io.BytesIO()
    shown[-1].save(still, "png", optimize=True)
    while True:
        file, pace = io.BytesIO(), round(1000 * seconds / len(shown))
        shown[0].save(file, "gif", save_all=True, append_images=shown[1:], duration=pace, loop=0, optimize=True)
        if file.tell() <= FILM_BYTES or len(shown) == 1:
            return file.getvalue(), still.getvalue()
        shown = shown[::2]


def data_uri(data: bytes, kind: str) -> str:
    """Data URI of bytes of a media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def read_table(lines: Sequence[str]) -> dict[str, Any]:
    """Parse a cell's Markdown lines into title, heads, rows of `Shown`, and the lines below the table."""
    body = [[part.strip() for part in line.split("|")[1:-1]] for line in lines if line[:1] == "|"]
    heads, rows = body[0], body[2:]
    parted = [[text.partition(" [") for text in row] for row in rows]
    return {
        "title": lines[0].rstrip(":"),
        "heads": heads,
        "rows": [[Shown(value, f"[{end}" if end else "") for value, _, end in row] for row in parted],
        "rest": [line for line in lines[1:] if line and line[0] != "|"],
    }


if __name__ == "__main__":
    main(tyro.cli(WriteReport))
