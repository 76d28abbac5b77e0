"""What `make run` does: one home, two processes, one line when they serve."""
