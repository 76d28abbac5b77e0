"""``providerctl provider``: testing stored credentials and discovering models, with a router's identity."""
