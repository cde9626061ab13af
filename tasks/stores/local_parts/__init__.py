"""Real programs on loopback, for the demo, benchmarks and tests: a registry, SeaweedFS, mounts."""
