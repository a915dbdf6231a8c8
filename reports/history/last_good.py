"""Since when a case is broken, as far as its history knows: the day on which it was last well."""

import pandas as pd

from reports.history.session_regressions import until

WELL = "passed"


def last_good(history: pd.DataFrame, session: str) -> dict[str, str]:
    """Of each case that is not well in this session: `passed last on 2026-11-20`, or that it never did.

    `history` is a `reports.history.store.load` frame that has the session.
    """
    known = until(history, session)
    own = known[known["session"] == session]
    earlier = known[known["session"] != session]
    sessions = earlier["session"].nunique()
    if not sessions:
        return {}
    passed = earlier[earlier["status"] == WELL].groupby("case")["at"].max()
    asked = set(earlier["case"])
    told = {}
    for case in own[own["status"] != WELL]["case"]:
        if case in passed.index:
            told[str(case)] = f"passed last on {passed[case][:10]}"
        elif case in asked:
            told[str(case)] = f"never passed in {sessions} earlier {'session' if sessions == 1 else 'sessions'}"
        else:
            told[str(case)] = "new in this session"
    return told
