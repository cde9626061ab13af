from collections import Counter
from dataclasses import replace

from tasks.benchmark_values.cases import parse_case
from tasks.operations.benchmark.catalogue import CATALOGUE
from tasks.operations.benchmark.visits import least_space, most_traffic, plan_pushes, plan_visits, registry_traffic

PATHS = tuple(CATALOGUE[name] for name in ("s3fs", "goofys", "rclone", "native", "directory"))
CASE = parse_case("8MiB")


def test_every_path_is_visited_once_a_round_in_another_order() -> None:
    visits = list(plan_visits(CASE, PATHS, 8, "seed"))
    assert Counter(visit.path.name for visit in visits) == dict.fromkeys((path.name for path in PATHS), 8)
    rounds = [tuple(v.path.name for v in visits if v.repeat == repeat) for repeat in range(1, 9)]
    assert all(sorted(names) == sorted(path.name for path in PATHS) for names in rounds)
    assert len(set(rounds)) > 4


def test_the_order_can_be_had_again() -> None:
    assert list(plan_visits(CASE, PATHS, 3, "a")) == list(plan_visits(CASE, PATHS, 3, "a"))


def test_each_path_is_pushed_to_once_in_an_order_of_each_run() -> None:
    orders = [plan_pushes(CASE, PATHS, f"run {number}") for number in range(8)]
    assert all(sorted(path.name for path in order) == sorted(path.name for path in PATHS) for order in orders)
    assert len(set(map(tuple, ([path.name for path in order] for order in orders)))) > 4
    assert plan_pushes(CASE, PATHS, "run 1") == orders[1]


def test_the_space_grows_with_the_largest_case_and_with_what_is_kept_here() -> None:
    cases = [parse_case("8MiB"), parse_case("64MiB")]
    elsewhere = least_space(cases, PATHS, local=False)
    assert 3 * 64 * 1024**2 <= elsewhere <= 6 * 64 * 1024**2
    assert least_space(cases, PATHS, local=True) >= elsewhere + 4 * 64 * 1024**2


def test_what_a_run_costs_in_a_bucket_is_known_before() -> None:
    """Three mounts are pushed through and one upload serves the SDK; each pull is made cold and warm."""
    size = CASE.total
    assert most_traffic([CASE], PATHS, 3, counted=False) == (4 * size, 2 * 3 * 4 * size)
    assert most_traffic([CASE, CASE], PATHS, 3, counted=True) == (2 * 4 * size, 2 * 2 * 4 * 4 * size)
    own = replace(CATALOGUE["s3fs"], mounted_at="/mnt/mine")
    assert most_traffic([CASE], [own], 1, counted=True) == (size, 2 * size)
    assert most_traffic([CASE], [CATALOGUE["directory"], CATALOGUE["registry"]], 3, counted=True) == (0, 0)


def test_so_is_what_it_costs_at_a_registry() -> None:
    """What several paths pull there is copied once."""
    size, path = CASE.total, CATALOGUE["registry"]
    assert registry_traffic([CASE, CASE], [path], 3) == (2 * size, 2 * 2 * 3 * size)
    assert registry_traffic([CASE], [path, replace(path, name="crane")], 1) == (size, 2 * 2 * size)
    assert registry_traffic([CASE], PATHS, 3) == (0, 0)
