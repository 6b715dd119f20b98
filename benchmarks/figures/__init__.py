"""The figures of the two papers, drawn from a run's results, and a page that lays their claims beside what was found.

grid ─► zhou2025, lu2021 ─► drawing        figures, one function each
     └► zhou2025_claims, lu2021_claims ─► claims     the page
"""
