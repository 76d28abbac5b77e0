"""Routers as operators see them: who has which revision, and waiting until all have one."""
