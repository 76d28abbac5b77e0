"""Build the clients in other languages: `python -m tools.clients`, or with the names of some of them.

One module per language says how its client is built; `builds` holds what they share. A client whose sources,
protos and build are unchanged is not rebuilt.
"""
