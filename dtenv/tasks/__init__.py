"""The model of each environment: state, kernels, observation and reward; what they share stands at the top."""
