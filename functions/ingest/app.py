"""Adds pictures that were put into the upload bucket."""

from lookalike.handlers.uploads import upload_handler

handler = upload_handler()
