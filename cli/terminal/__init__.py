"""What a person or a script sees: data on stdout, talk on stderr, looks only where somebody looks."""
