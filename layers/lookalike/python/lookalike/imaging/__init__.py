"""Decodes picture files into pixels."""
