"""What is to become of each tag at the target, and making it so."""
