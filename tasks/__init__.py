"""Everything below the flows: what joins stores and operations, and the Prefect tasks."""
