"""``providerctl provider-model``: the models of upstream accounts."""
