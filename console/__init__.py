"""The administrators' web pages: a client of the registry's API, with neither a database nor a key."""
