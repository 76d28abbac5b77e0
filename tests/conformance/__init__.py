"""One scenario for the clients of every language (README.md)."""
