"""The providers' world: what a kind is, how far away a host is, and calls to the providers' own APIs.

``kinds`` and ``addresses`` need the standard library alone. The rest knows HTTP and how each API is called:
whether a credential works there, and which models it offers. None of it knows the registry, messages, SQL or
how credentials are sealed. So the registry can use it for a credential that it is given, and a router's tools
for one that they have opened.

May see: one plaintext credential, for the duration of one call. Must never: log one, put one into a message,
an exception or a repr, or send one anywhere but to the destinations of its provider.
"""
