"""Policies from strangers, each in a process of its own that has nothing but a pipe."""

from leaderboards.sandbox.process import Limits, PolicyFailed, PolicyProcess

__all__ = ["Limits", "PolicyFailed", "PolicyProcess"]
