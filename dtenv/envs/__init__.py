"""The doors: how a task is reached through Gymnasium's and PettingZoo's interfaces."""
