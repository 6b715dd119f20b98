"""Image data sets, their label skew, and their split over clients."""
