"""The only place that draws: one episode's exogenous tape from one NumPy Generator.

Users are drawn before servers, so scenarios that differ in their servers alone share users' walks and
data (common random numbers); what only some scenarios need is drawn last.
"""
