"""Since when a case is broken, as far as its history knows: the day on which it was last well."""

import pandas as pd

from reports.history.session_regressions import short_commit, until

WELL = "passed"


def last_good(history: pd.DataFrame, session: str) -> dict[str, str]:
    """Of each case that is not well in this session: `passed last on 2026-11-20, commit abc1234`, or that it never did.

    `history` is a `reports.history.store.load` frame that has the session.
    """
    past_lines = until(history, session)
    tonight = past_lines[past_lines["session"] == session]
    earlier = past_lines[past_lines["session"] != session]
    sessions = earlier["session"].nunique()
    if not sessions:
        return {}
    passed = earlier[earlier["status"] == WELL].drop_duplicates("case", keep="last").set_index("case")
    seen_before = set(earlier["case"])
    sentences = {}
    for case in tonight[tonight["status"] != WELL]["case"]:
        if case in passed.index:
            known_commit = passed["commit"][case]
            commit = "" if pd.isna(known_commit) else short_commit(str(known_commit))
            sentences[str(case)] = f"passed last on {passed['at'][case][:10]}{f', commit {commit}' if commit else ''}"
        elif case in seen_before:
            sentences[str(case)] = f"never passed in {sessions} earlier {'session' if sessions == 1 else 'sessions'}"
        else:
            sentences[str(case)] = "new in this session"
    return sentences
