"""The wire: a thin servicer for each service, messages to values and back, and the one status table."""
