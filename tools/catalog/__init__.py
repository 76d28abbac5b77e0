"""Build and validate catalog releases: ``python -m tools.catalog``."""
