"""Bounds of (Zhou 2025, Theorem 1) compared with measured losses: `python -m dtenv.fl theorem`."""
