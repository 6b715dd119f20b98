"""Shared parts of the learners: set-up, rollouts, advantages, replay, runs, checkpoints."""
