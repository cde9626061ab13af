"""Policies of cleanups that several tests write into files."""


def newest_by_name(keep: int, max_percent: int) -> str:
    """Of tags `v*` the last `keep` by name stay; blobs wait neither before the quarantine nor in it."""
    return f"""
version: 1
policies:
  - name: all
    repositories: "**"
    order_by: name
    tags: [{{match: "v*", keep_last: {keep}}}]
blobs: {{grace: 0s}}
quarantine: {{hold: 0s}}
limits: {{max_percent: {max_percent}}}
"""
