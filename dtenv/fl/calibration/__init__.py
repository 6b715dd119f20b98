"""Utility profiles fitted to measured accuracies: `python -m dtenv.fl calibrate`."""
