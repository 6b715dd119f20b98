"""Theorem 1 of (Zhou 2025) beside measured losses: `python -m dtenv.fl theorem`."""
