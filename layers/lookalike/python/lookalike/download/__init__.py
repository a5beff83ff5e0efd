"""Fetches files by URL, from public addresses only."""
