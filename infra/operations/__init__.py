"""What `make up` keeps running: a Prefect server, a worker and the deployments."""
