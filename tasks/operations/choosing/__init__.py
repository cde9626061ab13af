"""Which repositories and tags a run is about, and which of them are newest."""
