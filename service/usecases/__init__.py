"""One function per RPC's meaning, one module a resource, hence so many. Synchronous, no protobuf, no SQL."""
