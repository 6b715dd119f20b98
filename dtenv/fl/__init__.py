"""What runs inside the twins: federated training and mobility prediction, in torch (extra `fl`).

Nothing else in dtenv imports this package: an agent meets its results as utility profiles and forecasts.
"""
