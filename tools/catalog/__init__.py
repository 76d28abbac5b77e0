"""Builds and validates catalog releases: ``python -m tools.catalog``."""
