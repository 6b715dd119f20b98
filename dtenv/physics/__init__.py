"""The model's formulas, one a function: scalar, compiled, in SI units and (Zhou 2025)'s symbols."""
