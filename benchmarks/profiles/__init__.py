"""Policies of all utility profiles under all profiles: `python -m benchmarks profiles`."""
