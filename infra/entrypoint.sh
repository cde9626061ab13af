#!/bin/sh
# The image's entrypoint: its arguments are those of the command, or Prefect's, which the workers of Docker and
# Kubernetes pools give a container for a run (`prefect flow-run execute`).
if [ "${1-}" = prefect ]; then
  exec "$@"
fi
exec layoutlift "$@"
