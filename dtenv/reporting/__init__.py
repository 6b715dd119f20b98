"""Rows, tables and statistics shared by the studies."""
