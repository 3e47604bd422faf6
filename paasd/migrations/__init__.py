"""Alembic migrations of the store. Imports nothing: the daemon reads HEAD here; only a child process loads Alembic."""

HEAD = "0011"
"""The newest revision. Revisions are four digits, so that a later one is a greater string."""
