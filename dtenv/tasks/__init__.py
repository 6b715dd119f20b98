"""Models of the environments: state, kernels, observation and reward; shared parts are at the top level."""
