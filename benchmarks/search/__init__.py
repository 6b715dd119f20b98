"""W&B sweep files searched without an account: `python -m benchmarks search`."""
