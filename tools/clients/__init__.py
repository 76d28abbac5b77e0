"""Builds the clients in other languages: `python -m tools.clients`, or with the names of some of them.

One module for each language says how its client is built; what they share is in `builds`. A client whose
sources, protos and build are as they were is not built again.
"""
