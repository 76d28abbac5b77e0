"""Pure rules and frozen values, one module a noun, hence so many: no I/O, no libraries, no protobuf."""
