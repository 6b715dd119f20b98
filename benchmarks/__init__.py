"""What runs agents on environments and tells what came of it: evaluation, statistics, plots, speed, the demo."""
