"""What runs leave for later ones: ledger, lock, reports and plans, in a folder or a bucket."""
