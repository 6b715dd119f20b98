"""Vector environments on an NVIDIA GPU."""
