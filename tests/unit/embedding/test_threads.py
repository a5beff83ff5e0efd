"""Linear algebra takes the thread of the request that needs it, and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COUNT = """
import lookalike
import numpy as np

square = np.ones((600, 600), np.float32)
square @ square
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("Threads:")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="threads are counted in /proc, as Linux has it")
def test_a_matrix_product_starts_no_threads() -> None:
    environment = {"PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))}
    counted = subprocess.run(
        [sys.executable, "-c", COUNT], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert counted.strip() == "1"
