"""Calls to the providers' own APIs: whether a credential works there, and which models they offer.

This room knows kinds by the names of their config members, HTTP, and how each API wants to be asked. It knows
nothing of the registry, of messages, of SQL and of how credentials are sealed, so that the registry can use
it for a credential it is given and a router's tools for one they have opened.

May see: one credential in plain, for the length of one call. Must never: log one, put one into a message, an
exception or a repr, or send one anywhere but to the destinations of its provider.
"""
