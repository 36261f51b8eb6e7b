"""Recordings of the nervous system as labelled arrays, and published models on them."""

__version__ = "0.1.0"
