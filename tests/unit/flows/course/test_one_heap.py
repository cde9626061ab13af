"""Threads of a run share one heap of the C library, unless somebody said how many they want."""

import ctypes
import os
import re
import subprocess
import sys

import pytest

THREADS = 6
PROGRAM = f"""
import ctypes, sys, threading
from flows.course.one_heap import use_one_heap

if sys.argv[1] == "one":
    use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
together = threading.Barrier({THREADS})

def allocate():
    together.wait()
    libc.malloc(1000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range({THREADS})]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def heaps(how: str, **environment: str) -> int:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return len(re.findall("<heap nr=", ended.stdout))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="the C library is not glibc")
def test_threads_share_one_heap_unless_the_environment_says_otherwise() -> None:
    assert heaps("one") == 1
    assert heaps("default") > 1
    assert heaps("one", MALLOC_ARENA_MAX="3") == 3
