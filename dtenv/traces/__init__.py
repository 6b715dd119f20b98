"""Readers of recorded station sites (`read_sites`) and walks (`read_trace`), and scenarios from them."""

from dtenv.traces.files import Sites, Walks, read_sites, read_trace
from dtenv.traces.geometry import project
from dtenv.traces.scenarios import scenario_from_options, scenario_from_traces

__all__ = ["Sites", "Walks", "project", "read_sites", "read_trace", "scenario_from_options", "scenario_from_traces"]
