#!/bin/sh
# The image's entrypoint: its arguments are those of the command, or Prefect's: `prefect worker start`, and
# `prefect flow-run execute`, which the workers of Docker and Kubernetes pools give a container for a run.
if [ "${1-}" != prefect ]; then
  exec layoutlift "$@"
fi

# Told to end, a worker kills the runs that are at work, and what executes one run ends without a word to it. So the
# runs are told first, and end in order within 30 s; what stops the container has to wait for that.
end_runs_first() {
  trap '' TERM INT
  prefect=${!-}
  [ -n "$prefect" ] || exit 143
  runs=$(cat "/proc/$prefect/task/"*/children)
  for run in $runs; do kill -TERM "$run"; done
  for run in $runs; do
    while kill -0 "$run"; do sleep 0.2; done
  done 2>/dev/null
  kill -TERM "$prefect"
  wait "$prefect"
  exit "$?"
}

trap end_runs_first TERM INT
# Else a shell has what it starts beside itself ignore Ctrl-C, with which a worker ends itself.
env --default-signal=INT,QUIT "$@" &
wait "$!"
