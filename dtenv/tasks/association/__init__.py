"""DTAssociation: state, kernels, observation and reward; the history allocation inside the step."""
