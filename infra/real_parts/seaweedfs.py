"""SeaweedFS as the S3 service: the same that `layoutlift benchmark run` starts."""

from tasks.stores.local_parts.seaweedfs import SeaweedFS

__all__ = ["SeaweedFS"]
