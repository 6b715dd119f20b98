"""Submitted agents, ranked on hidden instances; every number can be derived again. Imports dtenv, agents, benchmarks."""
