"""A vector index in memory: segments of float16 vectors, scanned by FAISS."""
