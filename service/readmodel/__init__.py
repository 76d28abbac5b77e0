"""What routers read: an immutable snapshot per revision, built from rows that are encoded once."""
