"""Rules, searches and planners without training."""
