"""A server keeps the small blocks of its heap, and returns large ones to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc's malloc is told")

#: Prints page faults of twenty rounds of eight blocks of 900 kB, and the pages held after a block of 64 MB is freed.
PROGRAM = """
import resource
from lookalike.server.heap import keep_small_blocks

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def work():
    blocks = [bytes(range(256)) * 3600 for _ in range(8)]

keep_small_blocks(heaps=3)
work()
before = faults()
for _ in range(20):
    work()
print(faults() - before)
before = resident()
large = b"x" * (64 << 20)
del large
print(resident() - before)
"""


def test_small_blocks_are_not_faulted_in_again_and_large_ones_go() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    faults, kept = map(int, answer.stdout.split())
    assert faults < 1800  # eight blocks are 1,800 pages: they would come twenty times
    assert kept < 4096  # pages: 16 MB
