"""Variants of federated training compared: `python -m dtenv.fl variants`."""
