"""Retention by policy and garbage collection of layouts, in steps that can be undone."""
