"""Serves the console's files."""

from lookalike.wire.console.handler import console_handler

handler = console_handler(__file__)
