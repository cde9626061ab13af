"""The target: a registry, asked and sent to by HTTP."""
