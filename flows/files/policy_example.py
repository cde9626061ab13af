"""The policy that `layoutlift cleanup init` writes: every field once, with what it means. It keeps everything."""

EXAMPLE = """\
# A policy of layoutlift cleanup. As it stands it keeps every tag; only content that nothing names is collected.
#   layoutlift validate FILE                        checks it
#   layoutlift cleanup plan SOURCE --policy FILE    says what it would do, and why
# Durations: 30d, 12h, 1w2d. Sizes: 50G. Tags: globs, regex:EXPRESSION or semver:CONSTRAINT, always in full.
version: 1

# The first policy whose repositories match decides. A repository that none matches is left as it is.
policies:
  # - name: builds
  #   description: What every commit leaves behind
  #   repositories:
  #     include: ["team/**"]          # * stays within a component of a path, ** does not
  #     exclude: ["team/base"]
  #   tags:                           # a tag that any group keeps is kept; one that no group matches is kept too
  #     - match: ["pr-*", "regex:[0-9a-f]{40}"]
  #       exclude: ["pr-keep-*"]
  #       keep_last: 10               # the newest 10 of those that match
  #       keep_within: 30d            # and whatever is younger than that
  #     - match: ["nightly-*"]
  #       keep_daily: 7               # the newest of each of the last 7 days that have one; in UTC
  #       keep_weekly: 4
  #       keep_monthly: 12
  #       keep_yearly: 3
  #     - match: ["semver:>=0.0.0"]   # releases alone; 1.4.0-rc.1 needs a pattern of its own, such as *-rc.*
  #       keep_newest_semver: 3       # of each minor line; what is no version stays, if no other count is given
  #       per: minor                  # all, major or minor
  #     - match: ["tmp-*"]
  #       keep: none                  # or all
  #   unmatched: keep                 # or delete: what no group matches
  #   order_by: created               # or manifest_modified, semver, name: what "newest" means for keep_last
  #   untagged: {delete_after: 30d}   # what was seen without a tag for so long and belongs to nothing; else keep
  #   referrers: with_subject         # signatures and SBOMs go with what they are of; or keep
  #   orphans_after: 30d              # referrers whose subject was seen gone for so long; without it they stay
  #                                   # not among referrers alone: what they are of lies elsewhere
  #   empty_layouts: keep             # or delete: a repository with nothing left in it
  - name: everything
    repositories: "**"
    tags:
      - match: "*"
        keep: all

# What no rule takes away.
protect:
  tags: [latest, stable]              # these two, where nothing else is named
  digests: []                         # also of a part: a platform's manifest, or an image's config
  digest_files: []                    # text or JSON; every digest in it counts, such as a list of what is deployed

# Content that nothing names waits: from the first time that a cleanup saw it unnamed until it is moved away.
blobs:
  grace: 7d                           # longer than the longest push
  ingest_after: 7d                    # files that oras or crane began and never finished
  multipart_after: 7d                 # uploads to the bucket that were never completed

# Where it goes then, until it is gone for good; layoutlift cleanup undo brings it back meanwhile.
quarantine:
  mode: prefix                        # or versions, in a bucket that keeps them; or none, where nobody else writes
  hold: 14d                           # longer than the longest push as well, and not shorter than grace

# A plan that goes beyond these is printed, and refused when it is to be applied. null is no limit.
limits:
  max_tags: null
  max_percent: 25                     # of the tags of each repository
  min_tags_left: 1                    # in each repository
  max_bytes: null

# With a target, nothing goes that it does not hold under the same digest (migrated_only: false asks it nothing).
# target: registry.example:5000
# migrated_only: true
"""
