"""The wire: the only room of the sidecar that knows messages, statuses and sockets."""
