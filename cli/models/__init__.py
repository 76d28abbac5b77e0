"""``providerctl model``: the models that users ask for."""
