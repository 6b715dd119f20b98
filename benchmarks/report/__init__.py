"""HTML report of a run: `python -m benchmarks report`."""
