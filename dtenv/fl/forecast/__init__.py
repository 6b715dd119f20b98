"""Network forecasters of the serving cell: centralised, local and federated (Li 2025)."""
