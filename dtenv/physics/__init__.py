"""Formulas of the models as compiled scalar functions, in SI units and the symbols of (Zhou 2025)."""
