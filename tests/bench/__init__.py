"""Benchmarks.

The package says how many threads NumPy and FAISS start: it must be imported before them, else their products of matrices
wait on a second core, at twice the processor time of a search.
"""

import lookalike as lookalike
