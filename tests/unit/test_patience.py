"""How long a run waits is what the environment says, and a mistake in that is said at once."""

import pytest

from tasks.oci.errors import ConfigurationError
from tasks.patience import SOURCE_TIMEOUT, TARGET_TIMEOUT, patience_with_source, patience_with_target


def test_both_wait_as_long_as_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = patience_with_source(), patience_with_target()
    monkeypatch.setenv(SOURCE_TIMEOUT, "9")
    monkeypatch.setenv(TARGET_TIMEOUT, "0")
    source = patience_with_source()
    assert (source.silence + source.probe, patience_with_target()) == (9.0, 0.0)
    assert usual[0].silence + usual[0].probe == 30.0
    assert usual[1] == 300.0
    monkeypatch.setenv(SOURCE_TIMEOUT, "")
    monkeypatch.setenv(TARGET_TIMEOUT, "")
    assert (patience_with_source(), patience_with_target()) == usual, "an empty one is none, as those of options"


@pytest.mark.parametrize("given", ["soon", "-1", "inf", "nan", " "])
def test_what_is_no_time_is_named(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    for variable, read in ((SOURCE_TIMEOUT, patience_with_source), (TARGET_TIMEOUT, patience_with_target)):
        monkeypatch.setenv(variable, given)
        with pytest.raises(ConfigurationError, match=f"{variable} must be a number of seconds"):
            read()
