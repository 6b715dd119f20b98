"""Edge, edge-cloud and cloud deployment of twins: `python -m benchmarks deployment`."""
