"""Tests with real processes: one module a subject, each with servers of its own, hence so many."""
