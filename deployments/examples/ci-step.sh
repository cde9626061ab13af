#!/bin/sh
# One step of any CI service that runs a shell, with SOURCE_DIRECTORY, REGISTRY, REGISTRY_USER, REGISTRY_PASSWORD and
# LAYOUTLIFT_STATE in its environment. Keep report.json as the step's artifact: it names every tag that did not arrive.
set -eu

# LAYOUTLIFT_STATE, which the commands read, is a folder that outlives the machine, or s3://bucket/prefix: there stands
# what earlier runs brought. Without it, a tag such as latest that has moved since is taken for somebody else's, and
# the plan fails. So it does where SOURCE_DIRECTORY is another path each time, unless --source-name NAME is given.
: "${LAYOUTLIFT_STATE:?name a folder that stays, or s3://bucket/prefix}"

# Says first what would be refused, and fails here, before anything is written, if there is such a thing. A file of
# metrics would have those of the plan in place of the migration's, so that only that is told of one, by its variable:
# let "$@" not have --metrics.
env -u LAYOUTLIFT_METRICS -u LAYOUTLIFT_REPORT \
  layoutlift plan "$SOURCE_DIRECTORY" "$REGISTRY" --username "$REGISTRY_USER" --password-stdin "$@" <<EOF
$REGISTRY_PASSWORD
EOF

# The password goes through standard input, so that it is in no command line. With exec, the command itself is told
# when the job is cancelled, and writes its report; a step that calls this script does so with exec, too.
exec layoutlift migrate "$SOURCE_DIRECTORY" "$REGISTRY" --standalone --depth blobs --report report.json \
  --username "$REGISTRY_USER" --password-stdin "$@" <<EOF
$REGISTRY_PASSWORD
EOF
