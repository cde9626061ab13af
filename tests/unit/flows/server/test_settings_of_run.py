"""Prefect's settings are changed for a block of code, and for that alone."""

from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings

from flows.server.settings_of_run import changed_settings


def test_settings_are_others_within_the_block_and_as_before_after_it() -> None:
    before = get_current_settings()
    with changed_settings("api", "url", "http://127.0.0.1:1/api"):
        with changed_settings("flows", "heartbeat_frequency", None):
            assert PREFECT_API_URL.value() == "http://127.0.0.1:1/api"
            assert PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() is None
        assert PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() == before.flows.heartbeat_frequency
    assert get_current_settings() == before
