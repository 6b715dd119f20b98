"""Comparison of variants of federated training: `python -m dtenv.fl variants`."""
