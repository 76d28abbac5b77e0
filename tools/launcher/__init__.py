"""What `make run` does: one data directory, three processes, one line when they serve."""
