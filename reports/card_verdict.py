"""What the card did to the figures of a session: throttled, or shared with others."""

from collections.abc import Iterator

from reports.card import CardFigures, card_figures
from reports.finding import Finding, Session, together
from reports.wording import counted, listed, place

# The clock event reasons of NVML (nvml.h) for which a card runs slower than it could. The others are a lack of
# work, or how the card is set.
HELD_BACK = {
    "SwPowerCap": "its power limit",
    "HwSlowdown": "heat or a lack of power",
    "SwThermalSlowdown": "heat",
    "HwThermalSlowdown": "heat",
    "HwPowerBrakeSlowdown": "the power brake of the machine",
}


def throttled(seen: Session) -> Iterator[Finding]:
    """Measurements on a card that was held back, and those that had to be repeated because of that."""
    lasting, passing = [], []
    for case in seen.cases:
        card = card_figures(case)
        if card.throttled:
            again = f"still after {counted(card.repeats, 'repeat')}" if card.repeats else "and not measured again"
            by = f"the card was throttled by {cause(card)}, {again}"
            lasting.append((case, f"{by}: it can be faster than these times."))
        elif card.repeats:
            repeats = counted(card.repeats, "repeat")
            passing.append((case, f"the card was throttled at first; what counts is the measurement after {repeats}."))
    yield from together("warn", lasting)
    yield from together("info", passing)


def shared(seen: Session) -> Iterator[Finding]:
    """Measurements during which other processes computed on the card."""
    cases = [case for case in seen.cases if card_figures(case).foreign]
    if not cases:
        return
    # Behind the colon stand the numbers of the processes and their memory, which differ from case to case.
    said = dict.fromkeys(card_figures(case).foreign.partition(":")[0][:120].strip() for case in cases)
    timed = sum(case.latency is not None for case in seen.cases)
    which, where = (f"all {len(cases)}", "") if len(cases) == timed else (f"{len(cases)} of {timed}", place(cases))
    rough = "take their times, memory and energy as rough" + (f": {where}" if where else "")
    yield Finding("warn", f"Not alone on the card in {which} timings ({listed(said, most=3)}), {rough}.")


def cause(card: CardFigures) -> str:
    """What held the card back, the most frequent first."""
    known = sorted((name for name in card.reasons if name in HELD_BACK), key=lambda name: -card.reasons[name])
    return listed(dict.fromkeys(HELD_BACK[name] for name in known)) or "something that was not recorded"
