"""A server's process keeps the small blocks of its heap, returns large ones, and has threads take turns quickly."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Prints page faults of twenty rounds of eight blocks of 1.8 MB, the pages held after a block of 64 MB is freed, and the
#: seconds until a thread lets another one work.
PROGRAM = """
import resource, sys
from lookalike.server.uvicorn_server import prepare_process

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def work():
    blocks = [bytes(range(256)) * 7200 for _ in range(8)]

prepare_process()
work()
before = faults()
for _ in range(20):
    work()
print(faults() - before)
before = resident()
large = b"x" * (64 << 20)
del large
print(resident() - before)
print(sys.getswitchinterval())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's malloc is told")
def test_small_blocks_stay_large_ones_go_and_threads_take_turns_quickly() -> None:
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    faults, kept, switching = map(float, answer.stdout.split())
    assert faults < 3600  # eight blocks are 3,600 pages: they would come twenty times
    assert kept < 4096  # pages: 16 MB
    assert switching < 0.001
