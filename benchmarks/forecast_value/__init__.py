"""What a forecast is worth in return: `python -m benchmarks forecast-value`."""
