"""Recorded station sites and walks: files read, and scenarios made of them.

`scenario_from_traces` makes a scenario of a site file and a trace file; `read_sites` and `read_trace` read them.
"""

from dtenv.traces.files import Sites, Walks, project, read_sites, read_trace
from dtenv.traces.scenarios import scenario_from_options, scenario_from_traces

__all__ = ["Sites", "Walks", "project", "read_sites", "read_trace", "scenario_from_options", "scenario_from_traces"]
