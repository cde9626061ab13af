"""What others say is shown without what may be secret in it, and still tells what is wrong."""

import time
import traceback
from collections.abc import Callable

import pytest

from tasks.oci.errors import ConnectionFailedError
from tasks.stores.hidden_secrets import MOST, end_without_secrets, redacted, remember, without_secrets
from tasks.stores.registry.transport.http_pool import HttpPool

MakePool = Callable[..., HttpPool]
SECRET = "hunter2SECRET"
SAID = [
    "bad https://u:{}@h/x?y={}",
    "bad https://u:pa/{}@h/x?y={}",
    "bad https://u:pa/{}/@h:443/app@sha256:abc?y={}",
    "bad https://u:p@a/{}@h/x?y={}",
    "bad amqp://u:/{}@[::1]:80?y={}",
    "bad https://h:80/x,https://u:pa/{}@h:443?y={}",
    "Authorization: Bearer {}",
    'the header "Basic {}" is none',
    "see /v2/token?account=u&password={}",
    "https://h/p?X-Amz-Signature={}",
    "https://h/p#access_token={}",
    "invalid token eyJhbGciOi.{}.abc",
    "client_secret={}; try again",
    'the realm wants password="{}" here',
    "aws_secret_access_key={}",
    '{{"password": "{}", "error": "refused"}}',
    "{{'refresh_token':'{}'}}",
    '{{"X-Amz-Security-Token": "{}"}}',
    "{{'x-amz-signature': '{}'}}",
    "{{'x-api-key': '{}'}}",
    "api-key={}",
    "the canonical string: host:h x-amz-security-token:{} x-amz-date:1",
    "X-Api-Key: {}",
    "Max retries exceeded with url: /otlp?k={}/v1/traces (Caused by",
    'the upload goes on at "/v2/app/blobs/uploads/1?_state={}"',
]


@pytest.mark.parametrize("said", SAID)
def test_what_may_be_secret_is_left_out(said: str) -> None:
    shown = without_secrets(said.format(SECRET, SECRET))
    assert SECRET not in shown
    assert "…" in shown


@pytest.mark.parametrize(
    "said",
    ["invalid credentials lifter:{}", "login lifter with password {} failed", "token '{}' expired", "{}"],
)
@pytest.mark.parametrize("secret", [SECRET, "correct horse battery", "a/b+c=", "x" * 3_000])
def test_what_this_process_was_given_is_left_out_in_whatever_words_it_is_repeated(said: str, secret: str) -> None:
    assert secret in without_secrets(said.format(secret)), "it has no form to be known by"
    remember(secret)
    assert without_secrets(said.format(secret)) == said.format("…")
    assert secret[:3] not in without_secrets(f"{said.format(secret)} {'x ' * MOST}".replace("x", "é"))
    assert secret[-3:] not in end_without_secrets(f"{secret} {'é ' * (MOST // 2 - 1)}", MOST)


def test_what_is_too_short_to_be_told_from_words_is_left() -> None:
    remember("no")
    remember("")
    assert without_secrets("no such name") == "no such name"


def test_of_many_secrets_the_last_are_known_and_the_longest_is_left_out_first() -> None:
    """A token that is handed out each hour is one more, and those before it have ended."""
    for number in range(1_000):
        remember(f"handed-out-{number:04}")
    remember("handed")
    assert without_secrets("handed-out-0999 handed-out-0000") == "… …-out-0000"


@pytest.mark.parametrize(
    "said",
    [
        "see https://registry.example:5000/app@sha256:abc, and http://h/@scope/name",
        "see https://registry.example:5000/v2/u:x/app@sha256:abc",
        "see http://[::1]:5000/@scope/name or http://127.0.0.1:80/app:v1@sha512:ab (for a@b)",
        "Bearer token is missing",
        "is /mnt/bucket mounted? see /v2/ or /proc/1/fd, and/or what?why",
        "pull access denied for https://registry.example/app@sha256:abc, what are your rights?",
        "the token server https://auth.example/token answered 500",
        "NAME_UNKNOWN: token: the repository has no such name = app",
        "{'Type': 'repository', 'Class': '', 'Name': 'team/token', 'Action': 'push'}",
    ],
)
def test_what_is_none_is_left(said: str) -> None:
    assert without_secrets(said) == said


@pytest.mark.parametrize(
    "part", ["a://", "a://u:", "eyJ-", "a://u:@sha256:", "token=", "basic ", "'token", "'a-", " /a"]
)
def test_a_long_text_of_nothing_but_beginnings_is_gone_through_at_once(part: str) -> None:
    begun = time.process_time()
    without_secrets(part * 16_384)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "said", ["x://" * 5_000, "word " * 5_000, f"{'word ' * 815}https://me:{SECRET}{'x' * 99}@h/"]
)
def test_a_very_long_text_is_cut_before_it_is_looked_at(said: str) -> None:
    """Patterns take the square of its length; what is cut within might be a secret that none knows any more."""
    shown = without_secrets(said)
    assert len(shown) <= MOST + 2
    assert shown.endswith(" …")
    assert SECRET[:8] not in shown


def test_an_address_that_can_not_be_asked_is_shown_without_its_query(make_pool: MakePool) -> None:
    with pytest.raises(ConnectionFailedError, match="99999") as raised:
        make_pool("127.0.0.1:1").send("GET", f"http://127.0.0.1:99999/token?key={SECRET}", {})
    assert SECRET not in "".join(traceback.format_exception(raised.value)), "Prefect keeps it, in a flow's log"


@pytest.mark.parametrize(
    "before", ["Get https://h/p?X-Amz-Signature=", "Bearer ", "Authorization:  Bearer: ", '{"password" : "', "token="]
)
def test_a_secret_whose_beginning_is_cut_off_is_not_in_the_end_of_a_text(before: str) -> None:
    """What is hidden behind it makes the end short, so that it reaches back to the cut."""
    secret = f'{before}{"z" * 1_500}"'
    for more in range(0, len(secret), 3):
        said = f"{secret} failed; {secret} failed; {secret} failed; {'x' * more}"
        assert "zz" not in end_without_secrets(said, 2_000)


def test_the_end_of_a_text_without_blanks_may_be_a_secret() -> None:
    assert end_without_secrets("s" * 2 * MOST, 2_000) == ""
    assert end_without_secrets("it said this", 4) == "this"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@h:1/a/b?sig=s#f", "https://h:1/a/b"),
        ("x:me:pw@h/a?sig=s", "x:h/a"),
        ("x:///me:pw@h/a", "x:h/a"),
        ("https://h/a@b", "https://h/a@b"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert redacted(url) == shown
