"""The Prefect server of this machine, and flows that run against it in the command's own process."""
