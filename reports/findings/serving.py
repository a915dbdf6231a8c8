"""What a session says of its models behind servers: what broke, and what was not measured."""

from collections.abc import Iterator

from reports.findings.base import Code, Finding, Session
from reports.record.serving import ServingSummary
from reports.text.formatting import plain_reason

PLACE = "serving"


def broken(seen: Session) -> Iterator[Finding]:
    """Served models that stopped with an error, then those that failed, each with its reason."""
    for code, outcome, words in (
        (Code.SERVING_ERROR, "error", "crashed"),
        (Code.SERVING_FAILED, "failed", "failed"),
    ):
        for served in seen.serving:
            for stage, ended in served.outcomes.items():
                if ended == outcome:
                    sentence = f"the {stage} stage {words}: {_reason(served, stage)}"
                    data = {"id": served.name.id, "stage": stage, "reason": _reason(served, stage)}
                    yield Finding(code, "fail", sentence, f"served, {served.name.id}", data=data, place=PLACE)


def doubts(seen: Session) -> Iterator[Finding]:
    """What was not measured, with the reason."""
    for served in seen.serving:
        for stage, ended in served.outcomes.items():
            if ended == "skipped":
                what = "was not measured" if stage == "matrix" else f"{stage} was not measured"
                sentence = f"{what}: {_reason(served, stage)}"
                data = {"id": served.name.id}
                yield Finding(
                    Code.SERVING_NOT_RUN, "info", sentence, f"served, {served.name.id}", data=data, place=PLACE
                )


def _reason(served: ServingSummary, stage: str) -> str:
    return plain_reason(served.reasons.get(stage, "no reason was recorded"))
