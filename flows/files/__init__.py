"""The files that users write, read into models: migrations, policies, alerts, paths of benchmarks."""
