"""Forecasters of users' positions and serving stations.

A DTMigration scenario accepts forecasters of positions (`Forecaster`) and of stations (`StationForecaster`).
Forecasters of the next serving cell (Li 2025) are fitted to sequences of cells, `CellTraces`; `CellForecast` adapts
them to DTMigration. Neural forecasters of cells are in dtenv.fl.forecast.
"""

from dtenv.forecasting.baselines import CellForecaster, MostFrequent, Persistence
from dtenv.forecasting.cell_traces import CellTraces, History, Windows, later_part, windows
from dtenv.forecasting.coverage import Coverage
from dtenv.forecasting.habits import Habits
from dtenv.forecasting.markov import HourMarkov, Markov
from dtenv.forecasting.metrics import Score, score
from dtenv.forecasting.oracles import AccessOracle, NoisyOracle
from dtenv.forecasting.recorded import cells_of_walks, hexagonal_sites, nearest_sites
from dtenv.forecasting.stations import CellForecast
from dtenv.scenario.forecaster import (
    ConstantVelocity,
    ExogenousEpisode,
    Forecaster,
    Foresight,
    Oracle,
    StationForecaster,
)

__all__ = [
    "AccessOracle",
    "CellForecast",
    "CellForecaster",
    "CellTraces",
    "ConstantVelocity",
    "Coverage",
    "ExogenousEpisode",
    "Forecaster",
    "Foresight",
    "Habits",
    "History",
    "HourMarkov",
    "Markov",
    "MostFrequent",
    "NoisyOracle",
    "Oracle",
    "Persistence",
    "Score",
    "StationForecaster",
    "Windows",
    "cells_of_walks",
    "hexagonal_sites",
    "later_part",
    "nearest_sites",
    "score",
    "windows",
]
