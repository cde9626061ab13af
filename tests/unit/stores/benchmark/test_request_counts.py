from collections import Counter

from tasks.stores.benchmark.request_counts import Counts, parse_counts

METRICS = """# TYPE SeaweedFS_s3_request_total counter
SeaweedFS_s3_request_total{bucket="one",code="200",type="GET"} 2
SeaweedFS_s3_request_total{bucket="one",code="404",type="GET"} 3
SeaweedFS_s3_request_total{bucket="one",code="200",type="LIST"} 1
SeaweedFS_s3_request_total{bucket="other",code="200",type="GET"} 50
SeaweedFS_s3_bucket_traffic_sent_bytes_total{bucket="one"} 1.5e+06
SeaweedFS_s3_bucket_traffic_sent_bytes_total{bucket="other"} 7
"""


def test_requests_of_one_bucket_are_counted_by_method_whatever_the_answer() -> None:
    assert parse_counts(METRICS, "one") == Counts(Counter(GET=5, LIST=1), 1_500_000)


def test_only_what_came_since_counts() -> None:
    now = Counts(Counter(GET=5, LIST=1), 100)
    assert now.since(Counts(Counter(GET=2, LIST=1), 40)) == Counts(Counter(GET=3), 60)
