"""DTMigration: exogenous channels and background users, kernels, observation and reward."""
