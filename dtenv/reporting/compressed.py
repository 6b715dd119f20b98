"""Stored rows, compressed where they are large: `rows.csv.gz` stands for `rows.csv`."""

from __future__ import annotations

import gzip
from pathlib import Path


def compressed(path: Path) -> Path:
    """Path of the compressed file."""
    return path.with_name(path.name + ".gz")


def stored(path: Path) -> bool:
    """Whether a file exists, compressed or not."""
    return path.exists() or compressed(path).exists()


def read_text(path: Path) -> str:
    """Text of a file, compressed or not, with its line ends.

    Raises:
        FileNotFoundError: neither exists.
    """
    data = (
        path.read_bytes()
        if path.exists() or not compressed(path).exists()
        else gzip.decompress(compressed(path).read_bytes())
    )
    return data.decode("utf-8")


def unpack(path: Path) -> None:
    """Replace the compressed file, if there is one alone, by the plain one, which can be appended to."""
    if not path.exists() and compressed(path).exists():
        path.write_bytes(gzip.decompress(compressed(path).read_bytes()))
        compressed(path).unlink()
