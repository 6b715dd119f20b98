"""Steps a second, memory and start-up time: `python -m benchmarks.speed`."""
