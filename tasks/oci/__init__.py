"""The values of the OCI specifications, and the one tree of errors; the standard library only."""
