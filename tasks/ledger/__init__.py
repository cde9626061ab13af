"""The ledger: what earlier runs did at the target, as this run has it in memory."""
