"""`python -m tests.fuzz [SECONDS]`: coverage-guided fuzzing of the parsers, from the committed seeds.

What it finds is left as a file `crash-*` in the working folder; put it among the seeds once it is mended, where
`test_parsers` reads it for ever.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tasks", "json", "tests.fuzz.parsers"]):
    from tests.fuzz.parsers import read_all

SEEDS = Path(__file__).parent / "corpus"
SECONDS = "60"
LONGEST_INPUT = 4096

if __name__ == "__main__":
    seconds = sys.argv[1] if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory(prefix="fuzz-") as found:  # the fuzzer writes into the first folder it is given
        options = [
            f"-max_total_time={int(seconds)}",
            f"-max_len={LONGEST_INPUT}",
            "-rss_limit_mb=1024",
            "-timeout=10",
        ]
        atheris.Setup([sys.argv[0], *options, found, str(SEEDS)], read_all)
        atheris.Fuzz()
