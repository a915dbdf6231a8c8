"""What a ratio of two speeds says: the verdicts of a comparison, and how large a difference matters."""

from reports.history.session_regressions import FIGURES

FASTER, SLOWER, SAME, UNCLEAR, NOT_TIMED = "faster", "slower", "same", "unclear", "not timed"
NOT_ASKED = "not asked"
# What matters between two nights matters between two runs.
LEAST = FIGURES["device time"].least


def by_interval(low: float, high: float) -> tuple[str, str]:
    """The verdict on a ratio B over A with this 95 % interval, and why it is unclear (else empty).

    It holds where the whole interval lies on one side of what matters.
    """
    least, most = 1 / (1 + LEAST), 1 + LEAST
    verdicts = {FASTER: low >= most, SLOWER: high <= least, SAME: least <= low <= high <= most}
    verdict = next((verdict for verdict, holds in verdicts.items() if holds), UNCLEAR)
    return verdict, f"the interval reaches across {100 * LEAST:g} %" if verdict == UNCLEAR else ""
