"""What Prefect's dashboard shows of a run, and what somebody can do to it there."""
