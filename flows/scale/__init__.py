"""Runs in parts: flow runs of a deployment on a work pool, or a Dask cluster."""
