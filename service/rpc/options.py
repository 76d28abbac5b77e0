"""The server's limits and channel options; apart, so that the benchmark's bare server has the same."""

MAX_RECEIVE_BYTES = 1 << 20
MAX_SEND_BYTES = 64 << 20
MAX_METADATA_BYTES = 16 << 10

OPTIONS = (
    ("grpc.so_reuseport", 0),  # else a second server on the port starts too, and shares it silently
    ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
    ("grpc.max_send_message_length", MAX_SEND_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    # Clients ping every 30 s; the default minimum of 5 min would answer them with GOAWAY.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
