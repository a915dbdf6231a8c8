"""The host clock on real calls, and how many inputs it must rotate among."""

import time

import numpy as np
import pytest

from fixtures.timing.host_clock import (
    FALLBACK_CACHE_BYTES,
    HostClock,
    batches_to_exceed_cache,
    last_level_cache_bytes,
)
from fixtures.timing.sampler import SamplerSettings, sample


def test_the_host_clock_times_real_work_on_each_batch_in_turn():
    batches, seen, waits = ["a", "b", "c"], [], []

    def engine(batch):
        seen.append(batch)
        time.sleep(0.002)
        return batch

    instrument = HostClock(engine, batches, synchronize=lambda: waits.append(len(seen)))
    settings = SamplerSettings(warmup_min_s=0.05, min_measured_s=0.05, max_measured_s=0.5, min_samples=20)
    (sampling,) = sample([instrument.timed_call], settings)
    assert seen[:4] == ["a", "b", "c", "a"]
    # Waited before and after each call.
    assert waits[:4] == [0, 1, 1, 2]
    assert 0.002 <= np.median(sampling.samples_s) < 0.1


def test_the_host_clock_counts_the_wait_for_the_device():
    instrument = HostClock(lambda _: None, [0], synchronize=lambda: time.sleep(0.003))
    assert instrument.timed_call(0) >= 0.003


def test_a_host_clock_without_input_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        HostClock(print, [])


@pytest.mark.parametrize(
    ("batch_bytes", "cache_bytes", "batches"),
    [(10, 100, 11), (30, 100, 4), (100, 100, 2), (1000, 100, 2), (10, 0, 2)],
)
def test_batches_are_together_larger_than_the_cache(batch_bytes, cache_bytes, batches):
    assert batches_to_exceed_cache(batch_bytes, cache_bytes) == batches
    assert batches * batch_bytes > cache_bytes


def test_batches_of_nothing_are_refused():
    with pytest.raises(ValueError, match="do not exist"):
        batches_to_exceed_cache(0, 100)


def test_the_last_level_cache_is_the_highest_data_cache(tmp_path):
    for index, (level, kind, size) in enumerate(
        [(1, "Data", "48K"), (1, "Instruction", "64K"), (3, "Unified", "16M"), (2, "Unified", "1024K")]
    ):
        entry = tmp_path / f"index{index}"
        entry.mkdir()
        for name, text in (("level", str(level)), ("type", kind), ("size", size)):
            (entry / name).write_text(text + "\n")
    assert last_level_cache_bytes(tmp_path) == 16 * 2**20


def test_without_a_description_of_the_caches_a_large_one_is_assumed(tmp_path):
    assert last_level_cache_bytes(tmp_path / "absent") == FALLBACK_CACHE_BYTES
    (tmp_path / "index0").mkdir()
    assert last_level_cache_bytes(tmp_path) == FALLBACK_CACHE_BYTES
