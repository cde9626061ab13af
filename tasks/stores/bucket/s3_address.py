"""What a user says of a bucket: its name, the prefix that is the source, and how to get at it. Imports no SDK."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from tasks.oci.errors import ConfigurationError, OutsideSourceError

SCHEME = "s3://"
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Where the SDK looks for another endpoint, the first one first."""
NO_COMPONENT = frozenset({"", ".", ".."})
"""What a key may have between its slashes, but no path."""
_NO_ENDPOINT = "an endpoint is a URL such as https://s3.example.com"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True, slots=True)
class BucketLogin:
    """What the SDK is told for one bucket, in place of what it finds; what is None it looks for itself."""

    profile: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """How to get at a bucket. `connections` are used at once beside those that read ahead.

    `anonymous` requests carry no credentials, and none are looked for: so a bucket is read that is open to everybody.
    """

    endpoint_url: str | None = None
    request_payer: bool = False
    connections: int = 8
    login: BucketLogin = field(default_factory=BucketLogin)
    anonymous: bool = False

    @property
    def endpoint(self) -> str | None:
        """The endpoint that the option or a variable names; the SDK may be told to ignore it, or of another still."""
        return self.endpoint_url or next(filter(None, map(os.environ.get, ENDPOINT_VARIABLES)), None)

    @property
    def signed(self) -> BucketAccess:
        """The same with credentials: for whatever writes."""
        return replace(self, anonymous=False)


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A bucket, and the prefix of all keys of the source: empty, or with a slash at its end."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, source: str) -> BucketAddress:
        """Read `s3://bucket[/prefix]`; the prefix is taken literally, slashes at its ends apart.

        Raises:
            ConfigurationError: the text has another form.
        """
        bucket, _, rest = source.removeprefix(SCHEME).partition("/")
        if not source.startswith(SCHEME) or _BUCKET.fullmatch(bucket) is None:
            if "@" in source:  # never shown: it may be a secret
                raise ConfigurationError(
                    "a login has no place in s3://bucket[/prefix]; use AWS_PROFILE or AWS_ACCESS_KEY_ID"
                )
            raise ConfigurationError(f"{source!r} is not of the form s3://bucket[/prefix]")
        prefix = rest.strip("/")
        if not _is_utf8(prefix):
            raise ConfigurationError(f"{source!r} is not in UTF-8, as all keys are")
        if prefix and not NO_COMPONENT.isdisjoint(prefix.split("/")):
            raise ConfigurationError(f"{source!r} has an empty component, or one of dots, in its prefix")
        return cls(bucket, f"{prefix}/" if prefix else "")

    @property
    def name(self) -> str:
        """What a layout at the prefix itself is called."""
        return self.prefix.rstrip("/").rpartition("/")[2] or self.bucket

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, path: str, name: str) -> str:
        """The key of the file `name` of the layout at `path`.

        Raises:
            OutsideSourceError: the path is none that the source can have.
        """
        if path == ".":
            return f"{self.prefix}{name}"
        if not NO_COMPONENT.isdisjoint(path.split("/")):
            raise OutsideSourceError(f"{path!r} is no path below the source")
        return f"{self.prefix}{path}/{name}"


def is_bucket(source: str) -> bool:
    """Whether a SOURCE argument means a bucket."""
    return source.startswith(SCHEME)


def _is_utf8(text: str) -> bool:
    """Whether an argument's bytes were UTF-8; others come as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_endpoint_url(url: str) -> str:
    """Return `url` when it may be an endpoint.

    Raises:
        ValueError: it has no scheme or host, or holds credentials, which would show in the dashboard.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # of the port or an IPv6 address
        raise ValueError(_NO_ENDPOINT) from None
    if not is_usable:
        raise ValueError(_NO_ENDPOINT)
    if parts.username is not None or parts.password is not None:
        raise ValueError("an endpoint holds no credentials; use AWS_PROFILE or AWS_ACCESS_KEY_ID")
    return url
