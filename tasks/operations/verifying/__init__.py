"""Proofs: that a target has what a source says, and that a source is whole."""
