"""Twins at the edge, in the cloud or on both: `python -m benchmarks deployment`."""
