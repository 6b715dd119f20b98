"""Suites of trainings and evaluations, and how they run: `python -m benchmarks run`."""
