"""Data sets, their label skew, and how clients share them."""
