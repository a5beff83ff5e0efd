"""Turns the bytes of picture files into pixels."""
