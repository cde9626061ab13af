"""Sources in a bucket, read and changed by the S3 API."""
