"""The registry process: providers, their models and their sealed credentials, served over gRPC."""
