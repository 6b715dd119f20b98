"""Models of the three tasks: constants, state, batched step kernels, observations, rewards and `info`."""
