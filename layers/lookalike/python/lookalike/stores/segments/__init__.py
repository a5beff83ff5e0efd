"""The format of segments of vectors, which one machine keeps in files and a stack in objects. NumPy alone."""
