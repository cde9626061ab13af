#!/bin/sh
# The image's entrypoint: its arguments are those of the command, or Prefect's: `prefect worker start`, and
# `prefect flow-run execute`, which the workers of Docker and Kubernetes pools give a container for a run.
if [ "${1-}" != prefect ]; then
  exec layoutlift "$@"
fi

# Where Kubernetes evicts its pod, what executes one run has that done again: it ends the run in order by itself, and
# would call it crashed if the run were told first.
case "${2-} ${3-} ${PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR-}" in
  'flow-run execute reschedule' | 'flow-run execute relinquish') exec "$@" ;;
esac

# Otherwise it ends without a word to its run, and a worker that is told to end kills the runs that are at work. So the
# runs are told first, and end in order within 10 s, and a second more for each 10,000 tags; what stops the container
# has to wait for that.
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
