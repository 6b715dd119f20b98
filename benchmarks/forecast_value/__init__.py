"""Value of forecasts in return: `python -m benchmarks forecast-value`."""
