"""The audit: every use of a key and every change of a version as a line of a signed chain."""
