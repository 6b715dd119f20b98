"""Run a submission on the public validation instances and print where it would be ranked.

python -m leaderboards evaluate leaderboards/submissions/my-agent
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

import dtenv
from leaderboards import entries
from leaderboards import season as seasons
from leaderboards.board import Board, track_board
from leaderboards.play import Played, play
from leaderboards.results import SeasonResults, fill_failed_episodes, load
from leaderboards.submission import Submission, read
from leaderboards.tables import tables
from leaderboards.tracks import FAILED_EPISODE_AGENT

SHOWN = 10
"""Maximum number of failed episodes that are printed."""


@dataclass
class Evaluate:
    """Settings."""

    folder: tyro.conf.Positional[Path]
    """folder of the submission"""


def main(settings: Evaluate) -> None:
    """Play the episodes and print the track's table."""
    try:
        submission = read(settings.folder)
        with tqdm(desc=submission.name, unit="slot", unit_scale=True, leave=False) as bar:
            played = play(entries.from_submission(submission), seasons.read(seasons.VALIDATION), tell=bar.update)
        board = standing(submission, played)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(str(error)) from None
    print("\n".join(tables(board)))
    if seconds := played.entry["seconds"]:
        print(f"\n{1.0 / seconds:,.0f} decisions per second, {played.entry['parameters']:,} parameters")
    print("isolation: " + "; ".join(f"{layer}: {state}" for layer, state in played.layers.items()))
    for failure in played.failures[:SHOWN]:
        print(f"failed: {failure}")
    if len(played.failures) > SHOWN:
        print(f"… and {len(played.failures) - SHOWN} more episodes")


def standing(submission: Submission, played: Played) -> Board:
    """Return the board of the submission's track, with the submission in it.

    Raises ResultsError for missing or invalid validation rows; BoundExceeded, an error of dtenv's, for a score above a
    bound.
    """
    stored = load(seasons.read(seasons.VALIDATION))
    track = submission.track
    others = [entry for entry in entries.all_entries(tracks=[track.name]) if entry.name != submission.name]
    names = {entry.name for entry in others}
    rows = [row for row in stored.of(track) if row["entry"] in names]
    fill_failed_episodes(played.rows, [row for row in rows if row["entry"] == FAILED_EPISODE_AGENT])
    ranked = [row for row in stored.entries if row["track"] == track.name and row["entry"] in names]
    ranked.append({**played.entry, "machine": ""})
    results = SeasonResults(stored.season, stored.folder, rows + played.rows, stored.bounds, ranked, [])
    results.check()
    board = track_board(track, results, [*others, entries.from_submission(submission)])
    return Board(seasons.VALIDATION, True, "", dtenv.__version__, "", [board])
