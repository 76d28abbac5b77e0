"""``providerctl catalog``: the bundled model catalogs."""
