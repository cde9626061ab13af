"""The proxy's variables are read as other programs read them, and what is secret in them stays so."""

import base64
import traceback

import pytest

from tasks.oci.errors import ConfigurationError
from tasks.stores.registry.transport.proxies import Proxy, proxy_for

HUB = "https://registry-1.docker.io/v2/"
PROXY = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        (HUB, {}, None),
        (HUB, PROXY, "http://proxy:3128"),
        (HUB, {"https_proxy": "http://lower:1", **PROXY}, "http://lower:1"),
        (HUB, {"HTTPS_PROXY": "proxy"}, "http://proxy:80"),
        (HUB, {"HTTPS_PROXY": "https://proxy"}, "https://proxy:443"),
        (HUB, {"HTTPS_PROXY": "http://[::1]:8080"}, "http://[::1]:8080"),
        (HUB, {"HTTPS_PROXY": ""}, None),
        (HUB, {"HTTP_PROXY": "http://other:1"}, None),
        (HUB, {"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ("http://r.example/v2/", {"HTTP_PROXY": "http://other:1", **PROXY}, "http://other:1"),
        ("http://r.example/v2/", {"HTTP_PROXY": "http://other:1", "REQUEST_METHOD": "GET"}, None),
        ("https://localhost:5000/v2/", PROXY, None),
        ("https://127.8.9.1:5000/v2/", PROXY, None),
        ("https://[::1]:5000/v2/", PROXY, None),
    ],
)
def test_the_variable_of_the_scheme_names_the_proxy(url: str, environment: dict[str, str], proxy: str | None) -> None:
    found = proxy_for(url, environment)
    assert (found and found.url) == proxy


@pytest.mark.parametrize(
    ("exceptions", "host", "excepted"),
    [
        ("r.example", "r.example", True),
        ("r.example", "deep.r.example", True),
        (".example", "r.example", True),
        ("*.example", "r.example", True),
        ("example", "notexample", False),
        ("a, r.example ,b", "r.example", True),
        ("R.EXAMPLE", "r.example", True),
        ("r.example:5000", "r.example:5000", True),
        ("r.example:5000", "r.example:443", False),
        ("r.example:443", "r.example", True),
        ("r.example:80", "r.example", False),
        ("*", "r.example", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.9.9.9/8", "10.1.2.3", True),
        ("fd00::/8", "[fd00::1]:5000", True),
        ("[fd00::1]:5000", "[fd00::1]:5000", True),
        ("[fd00::1]:5000", "[fd00::1]:5001", False),
        ("[fd00::1]:443", "[fd00::1]", True),
        ("", "r.example", False),
        (",", "r.example", False),
        (".", "r.example", False),
    ],
)
def test_no_proxy_names_hosts_domains_ports_and_networks(exceptions: str, host: str, excepted: bool) -> None:
    found = proxy_for(f"https://{host}/v2/", {**PROXY, "NO_PROXY": exceptions})
    assert (found is None) is excepted


def test_an_address_that_is_none_of_the_webs_has_no_proxy_of_its_own() -> None:
    """A token server's address is the registry's to say, and what it leads to is refused where it is asked."""
    assert proxy_for("ftp://r.example/", PROXY | {"ALL_PROXY": "http://p:1", "NO_PROXY": "r.example"}) is None


def test_a_port_that_is_none_is_left_to_whoever_asks_there() -> None:
    url = "https://r.example:99999/"
    assert proxy_for(url, {"NO_PROXY": "r.example:443"}) is None
    assert proxy_for(url, {**PROXY, "NO_PROXY": "r.example:443"}) == proxy_for("https://r.example/", PROXY)


def test_credentials_become_a_header_and_are_shown_nowhere() -> None:
    found = proxy_for(HUB, {"HTTPS_PROXY": "http://me:p%40ss@proxy:3128"})
    assert found is not None
    assert found.url == "http://proxy:3128"
    assert found.headers == {"proxy-authorization": "Basic " + base64.b64encode(b"me:p@ss").decode()}
    assert "me" not in repr(found)


@pytest.mark.parametrize("written", ["h%C3%A9:%D0%BF", "hé:п"])
def test_credentials_of_any_letters_are_sent_as_they_are_written(written: str) -> None:
    """As curl and Go's programs send them, in UTF-8 where that is how they are written."""
    found = proxy_for(HUB, {"HTTPS_PROXY": f"http://{written}@proxy:3128"})
    assert found is not None
    assert found.headers == {"proxy-authorization": "Basic " + base64.b64encode("hé:п".encode()).decode()}


@pytest.mark.parametrize("value", ["socks5://me:hunter2@proxy:1", "http://", "http://me:hunter2@proxy:port"])
def test_what_is_no_http_proxy_is_named_without_its_secret(value: str) -> None:
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY must be") as caught:
        proxy_for(HUB, {"HTTPS_PROXY": value})
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_proxies_are_told_apart_by_their_credentials_too() -> None:
    assert Proxy("http://p:1", {"proxy-authorization": "a"}) != Proxy("http://p:1", {})
