"""Local training: network, SGD and DP-SGD."""
