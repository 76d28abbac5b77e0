"""The wire: thin servicers, the mapping between messages and domain values, and the one status table."""
