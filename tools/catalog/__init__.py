"""Builds and validates the bundled catalogs: ``python -m tools.catalog``."""
