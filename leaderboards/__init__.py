"""Submitted agents, ranked on instances that nobody knew; every number of the tables can be derived again."""
