"""Lists of referrers at the target: by its own API, or by the tag that clients keep in its place."""
