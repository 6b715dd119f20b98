"""Figures of the two papers, drawn from a run's results, and a page that compares the papers' claims with them."""
