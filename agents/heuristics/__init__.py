"""Rules, searches and planners that need no training."""
