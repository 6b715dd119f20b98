"""Where the repository, the data that tests share, and these helpers are."""

from pathlib import Path

HELPERS = Path(__file__).resolve().parent
ROOT = next(folder for folder in HELPERS.parents if (folder / "pyproject.toml").exists())
RESULTS = ROOT / "benchmarks" / "results"
SHARED = ROOT.parent / "shared"
