"""Options and commands that people type from habit of other tools, or of another command, and what to do here."""

from __future__ import annotations

import re
from difflib import get_close_matches
from types import MappingProxyType

_ALL = "all tags are taken anyway, and --include takes some"
_CLIENT = "put client.cert and client.key into docker's certs.d"
_AUTH_FILE = "name the file in the variable REGISTRY_AUTH_FILE"
_LOGIN = "use docker login, or --username and --password-stdin"
_LEAVE = "use --on-conflict skip; without it, a tag with other content is refused"
_LAYOUTS = "SOURCE is always a directory or bucket of layouts, and TARGET a registry: leave it out"
_LESS = "progress goes to standard error, results to standard output, and --json prints the report instead"
_LOGIN_STORED = "layoutlift has none: what docker login, podman login or that of the other tool stored is used"
_PASSWORD = "use --password-stdin, or the variable LAYOUTLIFT_TARGET_PASSWORD"  # noqa: S105 - no password
_PLATFORMS = "an index is always copied whole, with all its platforms"
_REFERRERS = "referrers come along anyway, and --exclude-referrers leaves them behind"
_TLS = "use --plain-http for a registry without TLS, or --ca-file for an authority of your own"
INSTEAD = MappingProxyType(
    {
        "--abort-on-error": "use --fail-fast",
        "--all": _ALL,
        "--all-tags": _ALL,
        "--authfile": _AUTH_FILE,
        "--cert-file": _CLIENT,
        "--concurrency": "use --jobs",
        "--creds": _LOGIN,
        "--dest-authfile": _AUTH_FILE,
        "--dest-cert-dir": f"use --ca-file; for a client's certificate, {_CLIENT}",
        "--dest-creds": _LOGIN,
        "--dest-password": _PASSWORD,
        "--dest-tls-verify": _TLS,
        "--dest-username": "use --username",
        "--digestfile": "use --report",
        "--force": "use --on-conflict overwrite, or --prove-again for what the target has lost",
        "--format": "use --json for output; manifests are never converted",
        "--from-oci-layout": _LAYOUTS,
        "--image-refs": "use --report",
        "--insecure": _TLS,
        "--keep-going": "this is so anyway, and --fail-fast stops at the first problem",
        "--key-file": _CLIENT,
        "--max-age": "use --newer-than",
        "--min-age": "use --older-than",
        "--missing": _LEAVE,
        "--multi-arch": _PLATFORMS,
        "--no-clobber": _LEAVE,
        "--oci-layout": _LAYOUTS,
        "--output": "use --report",
        "--parallel": "use --jobs",
        "--password": _PASSWORD,
        "--platform": _PLATFORMS,
        "--preserve-digests": "this is so anyway: manifests travel byte for byte",
        "--profile": "use the variable AWS_PROFILE",
        "--prune": "use --delete-vanished",
        "--quiet": _LESS,
        "--recursive": _REFERRERS,
        "--referrers": _REFERRERS,
        "--region": "use the variable AWS_REGION",
        "--registry-config": _AUTH_FILE,
        "--remove-signatures": "use --exclude-referrers",
        "--retry": "what may pass is tried again anyway",
        "--retry-times": "what may pass is tried again anyway",
        "--scoped": "a prefix in TARGET, and --rename, make other names",
        "--src": "SOURCE is a directory or s3://bucket[/prefix], and --config takes a file of several",
        "--tag": "use --include REPOSITORY:TAG",
        "--tls-verify": _TLS,
        "--to-ca-file": "use --ca-file",
        "--to-cert-file": _CLIENT,
        "--to-key-file": _CLIENT,
        "--to-oci-layout": "a target is always a registry, and oras or skopeo copy to layouts",
        "--to-password": _PASSWORD,
        "--to-password-stdin": "use --password-stdin",
        "--to-plain-http": "use --plain-http",
        "--to-registry-config": _AUTH_FILE,
        "--to-username": "use --username",
        "--verbose": "use --debug",
        "--verbosity": "use --debug",
        "-o": "use --report",
        "-q": _LESS,
        "-v": "use --debug",
    }
)

_NO_SERVER = "this command needs no server: leave it out"
_NO_CHANGE = "this command changes nothing on either side: leave it out"
_PLAN_ALONE = "without --apply, only the plan is printed: leave it out"
_COMPARES = "this command compares contents: leave tags that stay the target's out with --exclude"
_READING = ("plan", "check", "cutover", "ls", "cleanup plan", "zot check")
OF_MIGRATE = MappingProxyType(
    {
        **{(name, "--standalone"): _NO_SERVER for name in (*_READING, "cleanup apply", "delete", "recover")},
        **{(name, "--dry-run"): _NO_CHANGE for name in (*_READING, "verify")},
        **{(name, "--dry-run"): _PLAN_ALONE for name in ("delete", "recover")},
        **{(name, "--on-conflict"): _COMPARES for name in ("verify", "cutover")},
    }
)
"""By command and option: options of ours that the command does not have."""
COMMANDS = MappingProxyType(
    {
        "copy": "use migrate",
        "cp": "use migrate",
        "gc": "use cleanup",
        "help": "use --help",
        "list": "use ls",
        "login": _LOGIN_STORED,
        "sync": "use migrate, which brings what is new when it is run again",
        "undo": "use cleanup undo",
    }
)
CLOSE = 0.8
"""How like ours a mistyped option has to be, without its dashes: below that, most guesses mislead."""


def advice_instead(option: str, own: set[str], command: str = "") -> str | None:
    """What to do instead of an option, where that needs none but the command's own options."""
    if ours := OF_MIGRATE.get((command, option)):
        return ours
    advice = INSTEAD.get(option) if own & {"source", "location"} else None  # others have no registry or bucket
    return advice if advice is not None and own.issuperset(re.findall("--[a-z-]+", advice)) else None


def meant_perhaps(option: str, own: set[str]) -> list[str]:
    """The command's own options that somebody who typed another one probably meant."""
    bare = {name.lstrip("-"): name for name in own if name.startswith("--")}
    typed = option.lstrip("-")
    begun = [name for each, name in bare.items() if each.startswith(f"{typed}-")]
    return begun + [bare[each] for each in get_close_matches(typed, bare, cutoff=CLOSE)]
