#!/usr/bin/env bash
# Keeps a registry in step with a mounted bucket until cut-over; for cron or a systemd timer:
#   PATH=/home/lifter/.local/bin:/usr/bin:/bin
#   15 2 * * *  /home/lifter/scheduled-migration.sh /mnt/bucket registry.example:5000
# The first line is for cron, whose own PATH has no layoutlift that pipx installed.
# Needs no Prefect server. Credentials: what `docker login` stored for this user, or LAYOUTLIFT_TARGET_USERNAME
# and LAYOUTLIFT_TARGET_PASSWORD. Further options for both steps, such as --plain-http, may follow. What only migrate
# knows is told it by its variable, such as LAYOUTLIFT_LIMIT_RATE=50M or LAYOUTLIFT_SINCE_LAST=1. Not --metrics, nor
# its variable: the file of the second step would replace that of the first. Nor LAYOUTLIFT_ON_CONFLICT=skip, as the
# second step names what the first has left: --exclude leaves it out of both.
# Each day's reports go to LAYOUTLIFT_REPORTS; what is older than 90 days is removed there once a later one has come.
set -uo pipefail

source_directory=${1:?usage: scheduled-migration.sh SOURCE TARGET [OPTION...]}
target=${2:?usage: scheduled-migration.sh SOURCE TARGET [OPTION...]}
shift 2
reports=${LAYOUTLIFT_REPORTS:-${XDG_STATE_HOME:-$HOME/.local/state}/layoutlift/reports}
day=$(date -u +%Y-%m-%d)
(umask 077 && mkdir -p "$reports") || exit 2 # with the folder for state, which is for this user alone

case $source_directory in
  s3://*) echo "this script takes a mounted directory; for $source_directory use layoutlift migrate itself" >&2; exit 2 ;;
esac
# A mount that hangs would keep whoever looks at it, and with cron one more each night.
entries=$(timeout --signal=KILL "${LAYOUTLIFT_SOURCE_TIMEOUT:-30}" ls -A "$source_directory" 2>&1)
listed=$?
if [ $listed -gt 128 ]; then
  echo "$source_directory does not answer: restart the mount" >&2
  exit 2
fi
if [ $listed -ne 0 ] || [ ! -d "$source_directory" ]; then
  echo "$source_directory is no directory that can be read: $entries" >&2
  exit 2
fi
# A mount that is away leaves an empty directory behind, which would look like a source without repositories.
if [ -z "$entries" ]; then
  echo "$source_directory is empty: is the bucket mounted?" >&2
  exit 2
fi

layoutlift migrate "$source_directory" "$target" --standalone --report "$reports/$day-migrate.json" "$@"
migrated=$?
case $migrated in
  0 | 1) ;;               # done, or some tags have a problem: verify the rest all the same
  *) exit "$migrated" ;;  # wrong configuration, another run at work, or interrupted
esac

layoutlift verify "$source_directory" "$target" --standalone --report "$reports/$day-verify.json" "$@"
verified=$?
# Two a day, of tens of MB each for 100,000 tags, would in the end fill the disk that the ledger is on.
find "$reports/" -maxdepth 1 \( -name '20??-??-??-migrate.json' -o -name '20??-??-??-verify.json' \) -mtime +90 -delete
exit $((migrated > verified ? migrated : verified))
