"""The board as Markdown, one table per track."""

from __future__ import annotations

import re

from dtenv.reporting.markdown import markdown_table
from leaderboards.board import Board, Standing, TrackBoard
from leaderboards.columns import COLUMNS, place, shown, ties

LONGEST_NAME = 80
"""Maximum length of an entry's name in a table."""

SPECIAL = re.compile(r"[\\`*_{}\[\]()#|~@:$^!<>&]|(?<=www)[.]")

HEADS = [column.head for column in COLUMNS if column.key != "kind"]


def tables(board: Board) -> list[str]:
    """Lines of all tracks: a heading, the meaning of the scores, and the table."""
    return [season(board), "", *(line for track in board.tracks for line in table(track))]


def season(board: Board) -> str:
    """Description of the season in one line."""
    if not board.commitment:
        return f"The season `{board.season}`, whose instances are public; dtenv {board.dtenv}."
    secret = "its secret is published" if board.revealed else "its instances are hidden"
    return f"Season {board.season}, {secret}; dtenv {board.dtenv}, commitment `{board.commitment}`."


def table(board: TrackBoard) -> list[str]:
    """Lines of one track."""
    track = board.track
    scale = f"{board.instances} instances; 0 is `{track.reference}`, 1 the proven bound."
    if board.without_headroom:
        scale += f" {board.without_headroom} without headroom, where both are one, are left out of scores."
    tied = ties(board)
    shown = [column.key for column in COLUMNS if column.key != "kind"]
    numbers = [i for i, key in enumerate(shown) if key not in ("entry", "score")]
    return [
        f"### {track.title}",
        "",
        f"{track.about} {scale}",
        "",
        *markdown_table(HEADS, (cells(standing, tied) for standing in board.standings), right=numbers),
        "",
    ]


def cells(standing: Standing, tied: dict[int, int]) -> list[str]:
    """Cells of a standing."""
    entry = literal(standing.entry)
    styles = {"learner": f"**{entry}**", "submission": f"**{entry}** (submission)", "bound": f"*{entry}*"}
    entry = styles.get(standing.kind, entry)
    if not standing.feasible:
        entry += " ✗ infeasible"
    others = [column.text(standing) for column in COLUMNS if column.key not in ("place", "entry", "kind")]
    return [place(standing, tied), entry, *others]


def literal(text: str) -> str:
    """Escape untrusted text for Markdown and HTML, in one line."""
    kept = SPECIAL.sub(lambda found: f"&#{ord(found[0])};", shown(text, LONGEST_NAME))
    return kept.strip() or "(no name)"
