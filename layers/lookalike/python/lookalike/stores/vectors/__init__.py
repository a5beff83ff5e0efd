"""A vector index in memory and in mapped files: segments of float16 vectors, scanned by FAISS."""
