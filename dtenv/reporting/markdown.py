"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(heads: Sequence[str], rows: Iterable[Iterable[Any]], right: int | Sequence[int] = ()) -> list[str]:
    """Lines of a table.

    Args:
        heads: titles of the columns.
        rows: cells.
        right: columns whose cells stand on the right: their indices, or how many at the end.
    """
    numbers = range(len(heads) - right, len(heads)) if isinstance(right, int) else right
    rules = ("---:" if i in numbers else "---" for i in range(len(heads)))
    cells = (f"| {' | '.join(map(str, row))} |" for row in (heads, *rows))
    head, *body = cells
    return [head, f"|{'|'.join(rules)}|", *body]
