"""What ends a run is told without what a name from the source would do to a terminal, or to Prefect's client."""

import pytest

from tasks.oci.errors import ConfigurationError, ConflictsError, RefusedError
from tasks.operations.reports.told_errors import told_plainly

HOSTILE = "caf\udce9\x1b]0;x\x07: it is in use\nby nobody"
PLAIN = r"caf\udce9\x1b]0;x\x07: it is in use\nby nobody"


def test_an_error_s_message_is_escaped_and_the_error_stays_what_it_is() -> None:
    error = ConflictsError(HOSTILE, 3)
    with pytest.raises(ConflictsError) as raised, told_plainly():
        raise error
    assert raised.value is error
    assert (str(error), error.tags) == (PLAIN, 3)


def test_mistakes_in_a_file_keep_their_lines() -> None:
    with pytest.raises(ConfigurationError) as raised, told_plainly():
        raise ConfigurationError("file.yaml:1: \x1b[2J\nfile.yaml:2: b")
    assert str(raised.value) == "file.yaml:1: \\x1b[2J\nfile.yaml:2: b"


def test_what_is_escaped_already_is_not_escaped_again() -> None:
    with pytest.raises(RefusedError) as raised, told_plainly(), told_plainly():
        raise RefusedError(HOSTILE)
    assert str(raised.value) == PLAIN
