"""What stays, by a policy or by what somebody named: tags, then entries, then blobs."""
