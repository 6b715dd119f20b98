"""Cross-evaluation of utility profiles: `python -m benchmarks profiles`."""
