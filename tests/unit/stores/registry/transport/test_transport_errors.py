"""What a broken connection is called, for whoever has to see what is wrong with an address."""

import errno

import pytest

from tasks.stores.registry.transport.transport_errors import translate

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://localhost/v2/", "; 443 was asked, as no port is named"),
        ("http://[::1]/v2/", "; 80 was asked, as no port is named"),
        ("https://localhost:5000/v2/", ""),
    ],
)
def test_the_port_is_said_that_nobody_is_at_where_the_user_named_none(url: str, port: str) -> None:
    hint = f"(nothing listens there: look at host and port, or start the registry{port})"
    said = f"GET {url}: [Errno {errno.ECONNREFUSED}] Connection refused {hint}"
    assert str(translate(REFUSED, "GET", url)) == said


def test_no_port_is_said_where_another_thing_is_wrong() -> None:
    lost = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert str(translate(lost, "GET", "https://registry.example/v2/")).endswith("Connection reset by peer")
