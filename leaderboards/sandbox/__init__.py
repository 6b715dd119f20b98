"""Sandbox for submitted policies: one process each, confined, connected by pipes only."""

from leaderboards.sandbox.process import Limits, PolicyFailed, PolicyProcess

__all__ = ["Limits", "PolicyFailed", "PolicyProcess"]
