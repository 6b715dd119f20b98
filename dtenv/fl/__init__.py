"""Federated training and mobility prediction inside the twins, in torch (extra `fl`).

Nothing else in dtenv imports this package: environments use its results as utility profiles and forecasts.
"""
