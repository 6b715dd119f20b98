"""Suites of trainings and evaluations, and their runner: `python -m benchmarks run`."""
