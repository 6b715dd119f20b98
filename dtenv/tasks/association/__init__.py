"""DTAssociation: state, kernels, observation and reward, and the history allocation inside the step."""
