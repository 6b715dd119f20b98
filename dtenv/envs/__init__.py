"""Gymnasium, PettingZoo and Stable-Baselines3 interfaces of the tasks, on CPU and GPU."""
