"""Processes that look for pictures beside the server's own, which alone has the index and writes."""
