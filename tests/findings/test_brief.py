"""What broke in few words: what, how much, since when, what to do."""

import pytest

from reports.findings.base import Code, Data, Finding
from reports.findings.brief import DO_RUN, Brief, brief, brief_since
from reports.findings.order import broken


def _of(code: Code, sentence: str = "It is as it is: for a long reason.", data: Data | None = None) -> Brief:
    return brief(Finding(code, "fail", sentence, data=data or {}))


@pytest.mark.parametrize(
    ("reason", "what", "do"),
    [
        ("InvalidCxxCompiler: No working C++ compiler found in config.cpp", "no C++ compiler found", "install g++"),
        ("RuntimeError: Failed to find C compiler. Please specify via CC", "no C++ compiler found", "install g++"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", "out of memory", "free memory, or smaller --batches"),
        ("OSError: [Errno 28] No space left on device", "disk full", "free some space"),
        ("no answer within 900 s: it was ended", "no answer within 900 s", "see its log, or more --case-seconds"),
        (
            "its process was ended by SIGKILL (the system does that when memory runs out)",
            "killed, as the system does where memory runs out",
            "free memory",
        ),
        (
            "ModuleNotFoundError: No module named 'tensorrt'",
            "No module named 'tensorrt' (ModuleNotFoundError)",
            "python -m fixtures.doctor says what to install",
        ),
        ("ValueError: shapes differ: 3 and 4", "shapes differ: 3 and 4 (ValueError)", "see its log"),
    ],
)
def test_a_known_cause_is_told_with_what_to_do(reason: str, what: str, do: str) -> None:
    assert _of(Code.STAGE_ERROR, data={"stage": "build", "reason": reason}) == Brief(f"build: {what}", do)


def test_a_failed_gate_is_what_it_keeps_and_the_gate() -> None:
    figures: Data = {"metric": "mAP50-95", "ratio": 0.93, "low": 0.92, "high": 0.94, "least": 0.98}
    assert _of(Code.GATE_FAILED, data=figures) == Brief(
        "keeps 93.0\u202f% of mAP50-95 (98\u202f% needed)", "do not ship it"
    )
    near = _of(Code.GATE_FAILED, data={**figures, "ratio": 0.975, "high": 0.985})
    assert near.do == "do not ship it; more images would decide"


def test_what_has_no_figures_is_its_first_clause() -> None:
    assert _of(Code.RUN_UNFINISHED) == Brief("It is as it is", DO_RUN)
    long = _of(Code.STAGE_FAILED, data={"stage": "build", "reason": "x" * 500})
    assert len(long.what) < 100 and long.what.endswith("…")


def test_since_when_needs_no_commit() -> None:
    assert brief_since("passed last on 2026-11-20, commit abc1234") == "passed last on 2026-11-20"
    assert brief_since("since 2026-11-20 (commit a..b; driver 550 → 560)") == "since 2026-11-20"
    assert brief_since("new in this session") == "new in this session" and brief_since("") == ""


def test_two_figures_that_became_worse_on_two_days_keep_both() -> None:
    def worse(figure: str, day: str) -> Finding:
        sentence = f"{figure} is 25.0 % longer since {day} (same commit c1; same versions)."
        return Finding(Code.HISTORY, "fail", sentence, "one", ("a",), {"change": f"{figure} +25.0 % (limit 3 %)"})

    (both,) = broken([worse("device time", "2026-11-20"), worse("size", "2026-11-28")], [], {})
    assert both.brief == (
        "device time +25.0 % (limit 3 %) since 2026-11-20, size +25.0 % (limit 3 %) since 2026-11-28 "
        "→ compare with the last good run"
    )
    assert "since 2026-11-20 (same commit c1" in both.found and "since 2026-11-28 (same commit c1" in both.found
    (same,) = broken([worse("device time", "2026-11-20"), worse("size", "2026-11-20")], [], {})
    assert same.brief == (
        "device time +25.0 % (limit 3 %) and 1 more figure, since 2026-11-20 → compare with the last good run"
    )
    assert "size is 25.0 % longer" in same.found
    three = [worse(figure, "2026-11-20") for figure in ("device time", "size", "memory")]
    assert broken(three, [], {})[0].what.endswith(" and 2 more figures")
