"""One answer from both orders of loading: what agrees, what disagrees, and a handicap that follows the place."""

import math
from typing import Any

import numpy as np
import pytest

from fixtures.compare.command import as_text, sentence
from fixtures.compare.load_order import LoadOrder, combined, load_orders_on
from fixtures.compare.paired_run import side_values
from fixtures.errors import BenchError
from fixtures.timing.paired import verdict_of
from fixtures.timing.statistics import Interval

HANDICAP = 1.04
UNKNOWN = 1.002  # what an interval reaches beyond its middle, as a factor


def one_order(load_order: LoadOrder, ratio: float, unknown: float = UNKNOWN, **changed: Any) -> dict[str, Any]:
    """What a comparison in one order finds: B's calls take `ratio` of A's, which take 2 ms."""
    interval = Interval(ratio / unknown, ratio * unknown)
    sides = [
        {"engine_sha256": letter, "median_ms": ms, "images_per_second": 8e3 / ms, "samples_ms": [ms] * 80}
        for letter, ms in (("a", 2.0), ("b", 2.0 * ratio))
    ]
    return {
        "load_order": load_order,
        "process_id": {"AB": 1001, "BA": 1002}[load_order],
        "quantity": "device time",
        "instrument": "CUDA events",
        "threshold": 0.01,
        "verdict": verdict_of(interval, 0.01),
        "time_ratio": {"value": ratio, "low": interval.low, "high": interval.high},
        "quadruples": 20,
        "attempts": 1,
        "measured_s": 1.5,
        "steady": True,
        "sides": sides,
        **changed,
    }


def card(**changed: Any) -> dict[str, Any]:
    """The state of a card while it was measured, with what a test is about."""
    return {"samples": 100, "reasons": {}, "throttled": False, "foreign": "", **changed}


def both(first: float, second: float, unknown: float = UNKNOWN) -> dict[str, Any]:
    """The answer where B's calls take these shares of A's, with A loaded first and with B."""
    return combined([one_order("AB", first), one_order("BA", second, unknown)])


def named(found: dict[str, Any]) -> dict[str, Any]:
    return {
        **found,
        "sides": [{"case": case, **side} for case, side in zip(("one", "two"), found["sides"], strict=True)],
    }


def test_both_orders_on_a_card_and_one_on_a_cpu():
    assert load_orders_on("cuda") == ("AB", "BA")
    assert load_orders_on("cpu") == ("AB",)


def test_the_answer_of_one_order_is_its_own():
    alone = one_order("AB", 1.2, card=card(trace={"seconds": [0.1]}), throttled_retries=1)
    found = combined([alone])
    same = alone.keys() - {"load_order", "process_id"}
    assert {key: found[key] for key in same} == {key: alone[key] for key in same}
    assert found["cause"] == "" and len(found["load_orders"]) == 1
    assert "loaded first" not in as_text(named(found))


def test_orders_that_agree_give_their_geometric_mean_and_the_hull_of_their_intervals():
    found = both(1.20, 1.25)
    assert found["verdict"] == "slower" and found["cause"] == ""
    assert found["time_ratio"] == {
        "value": pytest.approx(math.sqrt(1.20 * 1.25)),
        "low": 1.20 / UNKNOWN,
        "high": 1.25 * UNKNOWN,
    }
    told = sentence(named(found))
    assert told == "two is slower than one: a call takes +22.5 % (95 % interval +19.8 to +25.2 %)"
    assert both(1.001, 0.999)["verdict"] == "same"
    assert both(0.80, 0.82)["verdict"] == "faster"


def test_what_each_order_found_is_kept():
    orders = one_order("AB", 1.20), one_order("BA", 1.25, steady=False, attempts=3)
    found = combined(orders)
    kept = found["load_orders"]
    assert [each["load_order"] for each in kept] == ["AB", "BA"]
    assert [each["process_id"] for each in kept] == [1001, 1002]
    assert [each["time_ratio"] for each in kept] == [each["time_ratio"] for each in orders]
    assert [each["verdict"] for each in kept] == ["slower", "slower"]
    assert kept[1]["sides"][1] == {"median_ms": 2.5, "images_per_second": 3200.0, "calls": 80}
    assert (found["quadruples"], found["attempts"], found["measured_s"], found["steady"]) == (40, 4, 3.0, False)
    # In the order of time.
    assert found["sides"][1]["samples_ms"] == [2.4] * 80 + [2.5] * 80


def test_medians_tell_what_the_ratio_tells():
    """A median of two levels would be one of them, for each side another one."""
    slow = one_order("BA", 1 / HANDICAP)
    for side in slow["sides"]:
        side.update(median_ms=side["median_ms"] * HANDICAP, samples_ms=[side["median_ms"] * HANDICAP] * 160)
        side.update(images_per_second=8e3 / side["median_ms"])
    a, b = combined([one_order("AB", HANDICAP), slow])["sides"]
    assert a["median_ms"] == pytest.approx(b["median_ms"]) == pytest.approx(2 * math.sqrt(HANDICAP))
    assert a["images_per_second"] == pytest.approx(8e3 / a["median_ms"])


def test_opposite_orders_are_unclear_and_the_cause_is_told():
    found = both(1.040, 0.960)
    assert [each["verdict"] for each in found["load_orders"]] == ["slower", "faster"]
    assert found["verdict"] == "unclear"
    assert found["cause"] == "the two load orders disagree: 1.040 with A loaded first, 0.960 with B loaded first"
    told = sentence(named(found))
    assert told.startswith("Whether two is faster or slower than one is unclear: a call takes -0.1 %")
    assert told.endswith(
        "1 % decides. The two load orders disagree: 1.040 with A loaded first, 0.960 with B loaded first"
    )
    assert "--seconds" not in told  # it would find the same


def test_an_engine_against_itself_that_the_first_place_favours_is_not_slower():
    found = both(HANDICAP, 1 / HANDICAP)
    assert found["verdict"] == "unclear" and "disagree" in found["cause"]
    assert found["time_ratio"]["value"] == pytest.approx(1.0)
    # One loaded later has either level: this time the slow one once.
    once = both(HANDICAP, 1.0)
    assert once["verdict"] == "unclear" and "disagree" in once["cause"]


@pytest.mark.parametrize("handicap", [HANDICAP, 1 / HANDICAP])
def test_a_true_difference_beyond_the_handicap_is_found(handicap: float):
    found = both(1.08 * handicap, 1.08 / handicap)
    assert found["verdict"] == "slower" and found["cause"] == ""
    assert found["time_ratio"]["value"] == pytest.approx(1.08)


def test_one_unclear_order_leaves_it_unclear():
    found = both(1.020, 1.020, unknown=1.03)
    assert [each["verdict"] for each in found["load_orders"]] == ["slower", "unclear"]
    # They may well be of one mind: more samples may tell.
    assert found["verdict"] == "unclear" and found["cause"] == ""
    assert "Measured 2 times; a quieter machine or more --seconds may tell" in sentence(named(found))


def test_the_text_shows_both_orders_in_one_line():
    (line,) = (line for line in as_text(named(both(1.123, 1.038))).splitlines() if "loaded first" in line)
    assert line == (
        "load orders: a call takes +12.3 % (+12.1 to +12.5 %) with A loaded first, "
        "+3.8 % (+3.6 to +4.0 %) with B loaded first"
    )


def test_the_text_says_which_engine_is_bound_by_its_launches():
    found = both(0.99, 0.99)
    assert "launches" not in as_text(named(found))
    orders = [one_order("AB", 0.5), one_order("BA", 0.5)]
    for order, launch_ms in zip(orders, (1.25, 1.8), strict=True):
        order["sides"][0]["launch_ms"] = 0.3
        order["sides"][1]["launch_ms"] = launch_ms
    text = as_text(named(combined(orders)))
    assert "B is bound by its launches: 1.500 ms of the host for each call" in text and "A is bound" not in text
    assert [side["launch_ms"] for side in combined(orders)["load_orders"][1]["sides"]] == [0.3, 1.8]


def test_one_caller_of_a_side_gets_the_slower_of_card_and_launches():
    samples_s = np.full((5, 4), 2e-3)
    assert side_values(samples_s, 8, [1e-3] * 20)["images_per_second"] == pytest.approx(4000)
    bound = side_values(samples_s, 8, [4e-3] * 20)
    assert bound["images_per_second"] == pytest.approx(2000) and bound["launch_ms"] == pytest.approx(4.0)
    assert "launch_ms" not in side_values(samples_s, 8)


def test_what_disturbed_either_order_is_told():
    hot = card(throttled=True, reasons={"SwPowerCap": 0.9}, foreign="1 process beside ours")
    warm = card(reasons={"SwPowerCap": 0.05, "GpuIdle": 0.1}, foreign="2 processes beside ours")
    found = combined([one_order("AB", 1.2, card=hot, throttled_retries=1), one_order("BA", 1.2, card=warm)])
    assert found["card"] == {
        "throttled": True,
        "reasons": {"SwPowerCap": 0.9, "GpuIdle": 0.1},
        "foreign": "1 process beside ours; 2 processes beside ours",
    }
    assert found["throttled_retries"] == 1
    assert [each["card"] for each in found["load_orders"]] == [hot, warm]
    told = as_text(named(found))
    assert "throttled: " in told and "not alone: 1 process beside ours; 2 processes beside ours" in told
    assert "card" not in both(1.2, 1.2)


def test_orders_that_timed_different_engines_are_refused():
    again = one_order("BA", 1.2)
    again["sides"][1]["engine_sha256"] = "c"
    with pytest.raises(BenchError, match="built again between the two orders"):
        combined([one_order("AB", 1.2), again])
