"""Adds pictures that were put into the upload bucket."""

from lookalike import bootstrap

handler = bootstrap.ingester()
