"""Options of oras, skopeo, crane and regctl that people type from habit, and what to do here instead."""

from __future__ import annotations

import re
from types import MappingProxyType

_ALL = "all tags are taken anyway, and --include takes some"
_AUTH_FILE = "name the file in the variable REGISTRY_AUTH_FILE"
_LOGIN = "use docker login, or --username and --password-stdin"
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
        "--dest-cert-dir": "use --ca-file",
        "--dest-creds": _LOGIN,
        "--dest-tls-verify": _TLS,
        "--digestfile": "use --report",
        "--insecure": _TLS,
        "--keep-going": "this is so anyway, and --fail-fast stops at the first problem",
        "--no-clobber": "use --on-conflict skip; without it, a tag with other content is refused",
        "--password": _PASSWORD,
        "--platform": "an index is always copied whole, with all its platforms",
        "--profile": "use the variable AWS_PROFILE",
        "--recursive": _REFERRERS,
        "--referrers": _REFERRERS,
        "--region": "use the variable AWS_REGION",
        "--registry-config": _AUTH_FILE,
        "--to-ca-file": "use --ca-file",
        "--to-password": _PASSWORD,
        "--to-password-stdin": "use --password-stdin",
        "--to-plain-http": "use --plain-http",
        "--to-registry-config": _AUTH_FILE,
        "--to-username": "use --username",
        "--verbose": "use --debug",
    }
)


def advice_instead(option: str, own: set[str]) -> str | None:
    """What to do instead of an option, where that needs none but the command's own options."""
    advice = INSTEAD.get(option)
    return advice if advice is not None and own.issuperset(re.findall("--[a-z-]+", advice)) else None
