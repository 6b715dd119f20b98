"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(heads: Sequence[str], rows: Iterable[Iterable[Any]], right: int | Sequence[int] = ()) -> list[str]:
    """Return the lines of a table; `right` are the right-aligned columns: their indices, or their number at the end."""
    numbers = range(len(heads) - right, len(heads)) if isinstance(right, int) else right
    rules = ("---:" if i in numbers else "---" for i in range(len(heads)))
    head, *body = (f"| {' | '.join(map(str, row))} |" for row in (heads, *rows))
    return [head, f"|{'|'.join(rules)}|", *body]
