"""Private files: created with their modes, synced, locked, replaced whole; they know nothing of keys."""
