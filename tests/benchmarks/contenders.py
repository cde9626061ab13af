"""Who is measured, as data: a name, a script for bash, and what it needs.

A script sees these variables: SOURCE, a folder with a layout per repository; TARGET, `host:port` of a registry
with plain HTTP; JOBS; TAGS, a file with a line `repository:tag` for each tag; WORK, a folder of its own. Tools
without a way to list the tags of a layout get TAGS for nothing, outside the time.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.install_tools import PEERS
from infra.real_parts import find_tool
from infra.real_parts.tools import GO_TOOLS
from tests.benchmarks.workloads import Workload

LAYOUTLIFT = "layoutlift"
STANDALONE = "layoutlift --standalone"
REGSYNC = "regsync"
ORAS = "oras script, 8 processes"
ORAS_UNBOUNDED = "oras script, -P0"
ORAS_FAR = "oras script, one connection each"
REGCTL = "regctl"
SKOPEO = "skopeo"
CRANE = "crane"
CURL = "curl -T"
BARE = "bare client"

_MIGRATE = 'exec layoutlift migrate "$SOURCE" "$TARGET" --plain-http --jobs "$JOBS" --report "$WORK/report.json"'
_ORAS = """cd "$SOURCE"
ls | xargs -P{processes} -I@ sh -c 'oras repo tags --oci-layout "$0" | sed "s|^|$0:|"' @ |
  xargs -P{processes} -I@ oras copy {options}--recursive --from-oci-layout --to-plain-http @ "$TARGET/@"
"""
_EACH_TAG = 'cd "$SOURCE"; exec xargs -P"$JOBS" -I@ <"$TAGS" '
_CURL = """cd "$SOURCE"
upload() {
  start=$(curl -fsS -o "$WORK/null" -X POST -w '%header{location}' "http://$TARGET/v2/${1%%/*}/blobs/uploads/")
  case "$start" in /*) start="http://$TARGET$start" ;; esac
  case "$start" in *\\?*) start="$start&" ;; *) start="$start?" ;; esac
  curl -fsS -T "$1" -H 'Content-Type: application/octet-stream' "${start}digest=sha256:${1##*/}"
}
for blob in */blobs/sha256/*; do upload "$blob" & done
wait
"""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to copy a tree; `judged` ones compete, the others show what the machine can do."""

    name: str
    script: str
    program: str
    version: tuple[str, ...] = ("version",)
    judged: bool = True


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(name=LAYOUTLIFT, script=_MIGRATE, program="layoutlift", version=("--version",)),
        Contender(name=STANDALONE, script=f"{_MIGRATE} --standalone", program="layoutlift", version=("--version",)),
        Contender(name=REGSYNC, script='cd "$SOURCE"; exec regsync -c "$WORK/regsync.json" once', program="regsync"),
        Contender(name=ORAS, script=_ORAS.format(processes='"$JOBS"', options=""), program="oras"),
        Contender(name=ORAS_UNBOUNDED, script=_ORAS.format(processes=0, options=""), program="oras"),
        Contender(
            name=ORAS_FAR,  # as it is, each process opens several
            script=_ORAS.format(processes='"$JOBS"', options="--concurrency 1 "),
            program="oras",
        ),
        Contender(
            name=REGCTL,
            script=_EACH_TAG
            + 'regctl --host "reg=$TARGET,tls=disabled" image copy --referrers ocidir://@ "$TARGET/@"',
            program="regctl",
        ),
        Contender(
            name=SKOPEO,
            script=_EACH_TAG
            + "skopeo --insecure-policy copy --quiet --all --preserve-digests --dest-tls-verify=false"
            + ' oci:@ "docker://$TARGET/@"',
            program="skopeo",
            version=("--version",),
        ),
        Contender(
            name=CRANE,  # can push layouts of one entry only
            script='cd "$SOURCE"; ls | xargs -P"$JOBS" -I@ crane push --insecure @ "$TARGET/@:v1.0.0"',
            program="crane",
        ),
        Contender(
            name=BARE,  # hashes nothing, asks nothing, proves nothing
            script='exec python -I "$BARE_CLIENT" "$SOURCE" "$TARGET" "$JOBS"',
            program="python",
            version=("--version",),
            judged=False,
        ),
        Contender(name=CURL, script=_CURL, program="curl", version=("--version",), judged=False),
    )
}


def write_configuration(work: Path, workload: Workload, target: str, jobs: int) -> None:
    """Write what scripts read: the list of tags, and the configuration of regsync (JSON is YAML, too)."""
    (work / "tags").write_text("".join(f"{reference}\n" for reference in workload.references()))
    configuration = {
        "version": 1,
        "creds": [{"registry": target, "tls": "disabled", "reqConcurrent": jobs}],
        "defaults": {"parallel": jobs, "skipDockerConfig": True},
        "sync": [
            {"source": f"ocidir://{name}", "target": f"{target}/{name}", "type": "repository", "referrers": True}
            for name in workload.repository_names
        ],
    }
    (work / "regsync.json").write_text(json.dumps(configuration))


def link_programs(folder: Path) -> Path:
    """A folder to put first on PATH, with exactly the programs and versions that are to be measured."""
    folder.mkdir(parents=True, exist_ok=True)
    for program in {contender.program for contender in CONTENDERS.values()}:
        link = folder / program
        link.unlink(missing_ok=True)
        link.symlink_to(_find(program))
    return folder


def _find(program: str) -> Path:
    if program in {"layoutlift", "python"}:
        return Path(sys.executable).parent / program
    pinned = GO_TOOLS | PEERS
    if program in pinned:
        return pinned[program].path
    return Path(shutil.which(program) or find_tool(program))
