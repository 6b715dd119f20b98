"""DTPlacement: state, decode of bids, kernels, observation and reward."""
