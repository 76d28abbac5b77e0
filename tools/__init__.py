"""The developers' commands that the Makefile calls; nothing here is installed in production."""
