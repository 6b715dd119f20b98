"""A run as one HTML page: `python -m benchmarks report`."""
