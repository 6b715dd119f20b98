"""Rows, tables and statistics that studies share."""
