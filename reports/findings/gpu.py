"""What the card did to the figures of a session: throttled, or shared with others."""

from collections.abc import Iterator, Sequence

from reports.analysis.cases import CaseSummary
from reports.analysis.gpu_figures import GpuFigures, gpu_figures
from reports.analysis.phrases import SUSTAINED, describe_cases
from reports.analysis.timing_quality import at_power_limit
from reports.findings.base import Code, Data, Finding, Session, ids, together
from reports.record.results import POWER_CAP
from reports.text.formatting import join_words, pluralize

# The clock event reasons of NVML (nvml.h) for which a card runs slower than it could. The others are a lack of
# work, or how the card is set.
HELD_BACK = {
    POWER_CAP: "its power limit",
    "HwSlowdown": "heat or a lack of power",
    "SwThermalSlowdown": "heat",
    "HwThermalSlowdown": "heat",
    "HwPowerBrakeSlowdown": "the power brake of the machine",
}


def throttled(seen: Session) -> Iterator[Finding]:
    """Measurements on a card that was held back, and those that had to be repeated because of that.

    Of a case that keeps the card busy by design its power limit is no trouble, and said apart.
    """
    sustained: list[tuple[CaseSummary, str, Data]] = []
    lasting: list[tuple[CaseSummary, str, Data]] = []
    passing: list[tuple[CaseSummary, str, Data]] = []
    for case in seen.cases:
        card = gpu_figures(case)
        if at_power_limit(case):
            figures: Data = {"share": card.reasons[POWER_CAP], "repeats": card.repeats}
            sustained.append((case, f"{SUSTAINED}.", figures))
        elif card.throttled:
            repeated = f"still after {pluralize(card.repeats, 'repeat')}" if card.repeats else "and not measured again"
            by = f"the card was throttled by {cause(card)}, {repeated}"
            lasting.append((case, f"{by}: it can be faster than these times.", {"repeats": card.repeats}))
        elif card.repeats:
            repeats = pluralize(card.repeats, "repeat")
            sentence = f"the card was throttled at first; what counts is the measurement after {repeats}."
            passing.append((case, sentence, {"repeats": card.repeats}))
    yield from together(Code.GPU_THROTTLED, "warn", lasting)
    yield from together(Code.GPU_AT_POWER_LIMIT, "info", sustained)
    yield from together(Code.GPU_THROTTLED_AT_FIRST, "info", passing)


def shared(seen: Session) -> Iterator[Finding]:
    """Measurements during which other processes computed on the card."""
    cases = [case for case in seen.cases if gpu_figures(case).foreign]
    if not cases:
        return
    # Behind the colon stand the numbers of the processes and their memory, which differ from case to case.
    other_processes = dict.fromkeys(gpu_figures(case).foreign.partition(":")[0][:120].strip() for case in cases)
    timed = sum(case.latency is not None for case in seen.cases)
    which, where = (
        (f"all {len(cases)}", "") if len(cases) == timed else (f"{len(cases)} of {timed}", describe_cases(cases))
    )
    rough = "take their times, memory and energy as rough" + (f": {where}" if where else "")
    sentence = f"Not alone on the card in {which} timings ({join_words(other_processes, most=3)}), {rough}."
    yield Finding(Code.GPU_SHARED, "warn", sentence, cases=ids(cases), data={"count": len(cases), "of": timed})


def unhindered(seen: Session) -> Iterator[Finding]:
    """That nothing was seen to hold the card back, in a sentence, where it was watched and nothing did."""
    cases = [case for case in seen.cases if case.latency is not None]
    timed = [gpu_figures(case) for case in cases]
    watched = [card for card in timed if card.sm_clock_mhz is not None]
    limited = [at_power_limit(case) for case in cases]
    held_back = (card.throttled or card.repeats for card, free in zip(timed, limited, strict=True) if not free)
    if not watched or any(held_back) or any(card.foreign for card in timed):
        return
    where = f"all {len(watched)}" if len(watched) == len(timed) else f"{len(watched)} of {len(timed)}"
    clocks = _span([card.sm_clock_mhz for card in watched if card.sm_clock_mhz is not None])
    shares = [100 * card.sm_clock_share for card in watched if card.sm_clock_share is not None]
    of_maximum = f" ({_span(shares)}\u202f% of its maximum)" if shares else ""
    hottest = max((card.temperature_max_c for card in watched if card.temperature_max_c is not None), default=None)
    at_most = "" if hottest is None else f", at most {hottest:.0f} °C"
    clocks_text = f"{clocks} MHz{of_maximum}{at_most}"
    but = " but its power limit" if any(limited) else ""
    sentence = f"No throttling{but} and no other process was seen on the card in {where} timings: {clocks_text}."
    counts: Data = {"count": len(watched), "of": len(timed), "temperature_max_c": hottest}
    yield Finding(Code.GPU_UNDISTURBED, "info", sentence, data=counts)


def _span(values: Sequence[float]) -> str:
    """`1980`, or `1200–1980` where they differ in whole numbers."""
    return "–".join(dict.fromkeys(f"{value:.0f}" for value in (min(values), max(values))))


def cause(card: GpuFigures) -> str:
    """What held the card back, the most frequent first."""
    held_back = sorted((name for name in card.reasons if name in HELD_BACK), key=lambda name: -card.reasons[name])
    return join_words(dict.fromkeys(HELD_BACK[name] for name in held_back)) or "something that was not recorded"
