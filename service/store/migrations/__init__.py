"""Schema migrations, linear, each safe beside the version before it. `service.store.migrating` runs them."""
