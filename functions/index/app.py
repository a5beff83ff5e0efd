"""Brings the vector index to what was written to the table, until that has happened."""

from lookalike.handlers.stream import stream_handler

handler = stream_handler()
