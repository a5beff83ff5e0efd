"""A vector index in memory, made of segments."""
