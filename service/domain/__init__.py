"""Pure rules and frozen values of the registry: no I/O, no third-party imports, no protobuf."""
