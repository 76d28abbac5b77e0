"""One function per RPC's meaning: validate, decide, write once. Synchronous, no protobuf, no SQL."""
