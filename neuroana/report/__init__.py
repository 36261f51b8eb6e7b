"""Placeholder line replaced by the folder's own docstring."""
