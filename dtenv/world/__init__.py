"""Random draws: the exogenous tape of one episode, from one NumPy Generator.

Users are drawn before servers, so scenarios that differ in servers alone share walks and data (common random numbers);
optional parts are drawn last.
"""
