"""providerctl, the command line: it reaches everything by gRPC, and knows neither SQL nor keys."""
