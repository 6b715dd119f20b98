"""What learners share: rollouts, advantages, replay, runs, checkpoints."""
