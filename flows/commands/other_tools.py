"""Options of oras, skopeo, crane and regctl that people type from habit, and what to do here instead."""

from __future__ import annotations

import re
from types import MappingProxyType

_ALL = "all tags are taken anyway, and --include takes some"
_CLIENT = "put client.cert and client.key into docker's certs.d"
_AUTH_FILE = "name the file in the variable REGISTRY_AUTH_FILE"
_LOGIN = "use docker login, or --username and --password-stdin"
_LEAVE = "use --on-conflict skip; without it, a tag with other content is refused"
_PASSWORD = "use --password-stdin, or the variable LAYOUTLIFT_TARGET_PASSWORD"  # noqa: S105 - no password
_REFERRERS = "referrers come along anyway, and --exclude-referrers leaves them behind"
_TLS = "use --plain-http for a registry without TLS, or --ca-file for an authority of your own"
INSTEAD = MappingProxyType(
    {
        "--all": _ALL,
        "--all-tags": _ALL,
        "--authfile": _AUTH_FILE,
        "--concurrency": "use --jobs",
        "--creds": _LOGIN,
        "--dest-authfile": _AUTH_FILE,
        "--dest-cert-dir": f"use --ca-file; for a client's certificate, {_CLIENT}",
        "--dest-creds": _LOGIN,
        "--dest-password": _PASSWORD,
        "--dest-tls-verify": _TLS,
        "--dest-username": "use --username",
        "--digestfile": "use --report",
        "--image-refs": "use --report",
        "--insecure": _TLS,
        "--keep-going": "this is so anyway, and --fail-fast stops at the first problem",
        "--missing": _LEAVE,
        "--no-clobber": _LEAVE,
        "--password": _PASSWORD,
        "--platform": "an index is always copied whole, with all its platforms",
        "--profile": "use the variable AWS_PROFILE",
        "--recursive": _REFERRERS,
        "--referrers": _REFERRERS,
        "--region": "use the variable AWS_REGION",
        "--registry-config": _AUTH_FILE,
        "--scoped": "a prefix in TARGET, and --rename, make other names",
        "--src": "SOURCE is a directory or s3://bucket[/prefix], and --config takes a file of several",
        "--tls-verify": _TLS,
        "--to-ca-file": "use --ca-file",
        "--to-cert-file": _CLIENT,
        "--to-key-file": _CLIENT,
        "--to-password": _PASSWORD,
        "--to-password-stdin": "use --password-stdin",
        "--to-plain-http": "use --plain-http",
        "--to-registry-config": _AUTH_FILE,
        "--to-username": "use --username",
        "--verbose": "use --debug",
        "--verbosity": "use --debug",
    }
)


def advice_instead(option: str, own: set[str]) -> str | None:
    """What to do instead of an option, where that needs none but the command's own options."""
    advice = INSTEAD.get(option)
    return advice if advice is not None and own.issuperset(re.findall("--[a-z-]+", advice)) else None
