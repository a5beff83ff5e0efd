"""Brings the vector index to what was written to the table, until that has happened."""

from lookalike import bootstrap

handler = bootstrap.indexer()
