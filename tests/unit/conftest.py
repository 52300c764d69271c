"""Workers that run real stages, for the tests of workers and of the walls around stages."""

import pytest

from stage_bench import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("bench"))
    with bench.workers:
        yield bench


@pytest.fixture
def own_bench(tmp_path):
    bench = Bench(tmp_path / "bench")
    with bench.workers:
        yield bench
