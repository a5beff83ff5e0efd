"""Geometric verification: decides whether two pictures show the same, and where."""
