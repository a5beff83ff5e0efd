"""lookalike: reverse image search that its users own."""

import os

# Requests run on threads of their own already, and what a search multiplies is small: a second thread only waits for
# the first, at three times the processor time. NumPy reads the one and FAISS the other when they are loaded; there is
# no later chance, as faiss.omp_set_num_threads() speaks for the calling thread alone.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["OMP_NUM_THREADS"] = "1"

__version__ = "0.1.0"
