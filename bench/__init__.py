"""Measurements of the running product: each module is a program, prints one plain table and its verdict."""
