#!/bin/sh
# One step of any CI service that runs a shell, with SOURCE_DIRECTORY, REGISTRY, REGISTRY_USER and REGISTRY_PASSWORD
# in its environment. Keep report.json as the step's artifact: it names every tag that did not arrive.
set -eu

# Says first what would be refused, and fails here, before anything is written, if there is such a thing.
layoutlift plan "$SOURCE_DIRECTORY" "$REGISTRY" --username "$REGISTRY_USER" --password-stdin "$@" <<EOF
$REGISTRY_PASSWORD
EOF

# The password goes through standard input, so that it is in no command line.
layoutlift migrate "$SOURCE_DIRECTORY" "$REGISTRY" --standalone --depth blobs --report report.json \
  --username "$REGISTRY_USER" --password-stdin "$@" <<EOF
$REGISTRY_PASSWORD
EOF
