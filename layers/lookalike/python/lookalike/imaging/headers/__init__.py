"""Readers of picture files' headers, one module a format."""
