"""Stores of one machine: SQLite and files in a data folder, uploads in a watched folder."""
