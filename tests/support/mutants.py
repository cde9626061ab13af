"""The command with a defect that was put in on purpose: a test that passes on it would notice nothing."""

import sys
from dataclasses import replace

from tests.support.command import Layoutlift

ASKS_FOR_NO_BLOB = """
from tasks.operations.copying.blob_copy import BlobCopy
push = BlobCopy._push
BlobCopy._push = lambda self, blob, home, **_: push(self, blob, None, surely=True, ask=False)
"""
"""Sends blobs that the target has."""

SEES_NO_CHANGE = """
import flows.course.cutover
flows.course.cutover.refuse_changes = lambda *_: None
"""
"""A cut-over that does not look whether somebody still writes."""

TELLS_OF_PREFECTS_ERRORS = """
import flows.server.embedded
flows.server.embedded._is_of_prefect = lambda _: False
"""
"""Lets the end of the Prefect server be the end of the command."""


def mutant(command: Layoutlift, defect: str) -> Layoutlift:
    """`command` with the defect."""
    program = (sys.executable, "-c", f"{defect}\nfrom flows.cli import main\nmain()")
    return replace(command, program=program)
