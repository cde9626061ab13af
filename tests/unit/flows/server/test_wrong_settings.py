"""A wrong setting of Prefect's is one line, not the traceback of an import."""

import os
import subprocess
import sys

import pytest
from pydantic import BaseModel, ValidationError

from flows.server.wrong_settings import wrong_settings_told
from tasks.oci.errors import ConfigurationError

PROGRAM = """
from flows.server.embedded import _load
from tasks.oci.errors import ConfigurationError
try:
    _load("verify")
except ConfigurationError as error:
    print(error)
"""


def test_the_field_is_named_and_its_value_is_not() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PREFECT_LOGGING_LEVEL": "nonsense"},
    )
    assert "Prefect does not take level of its LoggingSettings: Input should be 'DEBUG', 'INFO'" in ended.stdout
    assert "nonsense" not in ended.stdout


def test_alerts_name_it_too() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main(['alerts', 'remove'])"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_LOGGING_LEVEL": "nonsense"},
    )
    assert "layoutlift: Prefect does not take level of its LoggingSettings: " in ended.stderr
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)


def test_another_error_is_left_as_it_is() -> None:
    class Other(BaseModel):
        number: int

    with pytest.raises(ValidationError), wrong_settings_told():
        Other.model_validate({"number": "x"})
    with pytest.raises(ConfigurationError, match="number of its OtherSettings"), wrong_settings_told():
        type("OtherSettings", (Other,), {}).model_validate({"number": "x"})
