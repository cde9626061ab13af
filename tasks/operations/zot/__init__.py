"""What a zot over the source itself would serve."""
