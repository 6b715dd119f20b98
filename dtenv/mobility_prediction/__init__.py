"""Which cell will serve a user next (Li 2025): sequences of cells, forecasters behind one interface, and their scores.

Forecasters of positions, for observations, are in dtenv.forecast; networks that forecast cells in dtenv.fl.forecast.
"""

from dtenv.mobility_prediction.forecasters import CellForecaster, MostFrequent, Persistence
from dtenv.mobility_prediction.markov import HourMarkov, Markov
from dtenv.mobility_prediction.metrics import Score, score
from dtenv.mobility_prediction.recorded import cells_of_walks, hexagonal_sites, nearest_sites
from dtenv.mobility_prediction.traces import CellTraces, History, Windows, later_part, windows

__all__ = [
    "CellForecaster",
    "CellTraces",
    "History",
    "HourMarkov",
    "Markov",
    "MostFrequent",
    "Persistence",
    "Score",
    "Windows",
    "cells_of_walks",
    "hexagonal_sites",
    "later_part",
    "nearest_sites",
    "score",
    "windows",
]
