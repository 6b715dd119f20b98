"""One file a task: its constants, state, batched step kernel, observation, reward and costs."""
