"""What each address of the console shows and does: one module a page, and the docs pages' parts."""
