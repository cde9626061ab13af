"""What a block holds is refused where it can't be used, before a run takes it; for runs, see tests/flows."""

from typing import Any

import pytest
from pydantic import ValidationError

from flows.dashboard.block_types import LayoutSource

KEY = {"aws_access_key_id": "AKID", "aws_secret_access_key": "hunter2"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"aws_session_token": "hunter2"}, "aws_session_token goes with a key"),
        ({"aws_access_key_id": "AKID"}, "go together"),
        ({**KEY, "profile": "p"}, "either a key or a profile"),
        ({"source": "s3://AKID:hunter2@bucket"}, "a login has no place"),
    ],
)
def test_half_a_login_or_one_in_the_wrong_place_is_refused(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as raised:
        LayoutSource(**{"source": "s3://bucket", **fields})
    (mistake,) = raised.value.errors(include_input=False)
    assert wrong in mistake["msg"]
    assert "hunter2" not in mistake["msg"]


def test_a_whole_login_is_taken() -> None:
    login = LayoutSource(source="s3://bucket", aws_session_token="token", **KEY).login
    assert (login.access_key_id, login.secret_access_key, login.session_token) == ("AKID", "hunter2", "token")
