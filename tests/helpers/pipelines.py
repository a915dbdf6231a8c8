"""Rows of pipelines, as a session records them."""

from typing import Any

from reports.record.pipeline import PipelineAccuracy, PipelineName, PipelineRow, PipelineSpeed
from reports.record.results import Metric, to_values


def pipeline_row(
    name: str,
    photo_set: str = "12mp",
    speed: PipelineSpeed | None = None,
    accuracy: str = "",
    baseline: bool = False,
    decoder: str = "pil",
    preprocessor: str = "reference",
    detector: str = "pytorch-fp32",
    low: float | None = None,
    error: str = "",
) -> dict[str, Any]:
    """A speed row, an accuracy row with this outcome, or a speed row that ended in an error; else one that cannot run.

    `low` is the lower end of the accuracy's interval, if it is not the accuracy itself.
    """
    described = PipelineName(
        id=f"{name}-{photo_set}",
        photo_set=photo_set,
        decoder=decoder,
        preprocessor=preprocessor,
        detector=detector,
        image_tower=detector,
        nms="ultralytics",
        overlap=speed.overlap if speed else "serial",
        baseline=baseline,
    )
    fields = {field: getattr(described, field) for field in PipelineName.__struct_fields__}
    if speed is not None:
        return PipelineRow("s", fields, "speed", "passed", to_values(speed)).to_dict()
    if accuracy:
        kept = 0.99 if accuracy == "passed" else 0.5
        metric = Metric(
            name="zero-shot agreement",
            value=kept,
            baseline=1.0,
            ratio_value=kept,
            low=low or kept,
            high=1.0,
            gated=True,
        )
        values = to_values(PipelineAccuracy(metrics=(metric,), photos=24, tolerance=0.02))
        return PipelineRow(
            "s", fields, "accuracy", accuracy, values, accuracy if accuracy != "passed" else None
        ).to_dict()
    if error:
        return PipelineRow("s", fields, "speed", "error", {}, error).to_dict()
    return PipelineRow("s", fields, "matrix", "skipped", {}, "the decoder nvimagecodec needs an NVIDIA GPU").to_dict()
