"""The key sidecar: the only process that holds key-encryption keys (``python -m kms``)."""
