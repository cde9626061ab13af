"""The engine: what is decided and done, without Prefect, HTTP or files of its own."""
