"""How a run goes from its parameters to its report, for flows and for commands without Prefect alike."""
