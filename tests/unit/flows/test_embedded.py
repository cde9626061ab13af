"""What the command says of the Prefect server that its flow reports to."""

from pathlib import Path

import httpx
import pytest

from flows import embedded
from flows.console import Console
from flows.parameters import CheckParameters
from tasks.oci.errors import ConfigurationError

PARAMETERS = CheckParameters(source="/source")


@pytest.mark.parametrize("password", ["S3cretPw", "S3cret@Pw"])
def test_a_server_that_refuses_is_named_without_its_password(
    password: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(**_: object) -> None:
        raise httpx.HTTPError(f"Client error '403 Forbidden' for url 'http://bob:{password}@127.0.0.1:9/api/flows/'")

    for name, value in {
        "PREFECT_API_URL": f"http://bob:{password}@127.0.0.1:9/api",
        "PREFECT_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(embedded, "_load", lambda _: refused)
    monkeypatch.setattr(embedded.prefect_server, "client_environment", lambda _: {})
    with pytest.raises(ConfigurationError) as raised:
        embedded.run_flow("check", PARAMETERS, Console())
    assert "http://127.0.0.1:9 can't be used (Client error '403 Forbidden' for url 'http://127.0.0.1:9/api/" in str(
        raised.value
    )
    assert "cret" not in str(raised.value)
