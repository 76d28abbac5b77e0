"""Sealing: the only room of the registry that touches key material. It can seal; it cannot open."""
