"""Networks that forecast which cell serves a user: centralised, local and federated (Li 2025)."""
