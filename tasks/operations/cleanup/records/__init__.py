"""What cleanups note at the source: journals, the quarantine, marks of blobs and of strays."""
