"""Forms of providers and models: what they ask, and the messages that come of what was typed."""
