"""What every kind of work on a repository has in common: decisions, units, results, and workers to share."""
