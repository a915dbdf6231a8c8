"""Rows of pipelines, as a session records them."""

from typing import Any

from reports.record.pipeline import PipelineAccuracy, PipelineName, PipelineSpeed, StageTime
from reports.record.results import Metric, to_values
from reports.record.schema import PIPELINE_KIND, StageRow


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
        return StageRow(PIPELINE_KIND, "s", fields, "speed", "passed", to_values(speed)).to_dict()
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
        return StageRow(
            PIPELINE_KIND, "s", fields, "accuracy", accuracy, values, accuracy if accuracy != "passed" else None
        ).to_dict()
    if error:
        return StageRow(PIPELINE_KIND, "s", fields, "speed", "error", {}, error).to_dict()
    return StageRow(
        PIPELINE_KIND, "s", fields, "matrix", "skipped", {}, "the decoder nvimagecodec needs an NVIDIA GPU"
    ).to_dict()


def timed_pipelines(session: str) -> list[dict[str, Any]]:
    """The common way and a fast pipeline on both sets of photos, as an H200 gave them, with long names of engines."""
    stages = ("read", "decode", "preprocess", "copy", "detector", "nms", "image tower", "labels", "results")
    common, fast = "pytorch-fp32", "torch-compile-cuda-graph-fp16"
    measured = {
        "12mp": (
            (3.89, (0.5, 176.8, 130.8, 0.91, 0.92, 1.01, 1.11, 0.044, 0.126)),
            (738.0, (0.38, 1.43, 0.65, 0.044, 0.128, 0.031, 0.07, 0.012, 0.073)),
        ),
        "coco": (
            (67.8, (0.06, 3.44, 6.25, 0.8, 0.77, 0.74, 0.79, 0.035, 0.084)),
            (1423.0, (0.04, 0.12, 0.235, 0.012, 0.118, 0.031, 0.064, 0.01, 0.056)),
        ),
    }
    rows = []
    for photo_set, timed in measured.items():
        for (rate, times), best in zip(timed, (False, True), strict=True):
            speed = PipelineSpeed(
                stages=tuple(StageTime(name=n, wall_ms=ms, cpu_ms=ms) for n, ms in zip(stages, times, strict=True)),
                whole_ms=sum(times),
                photos_per_second=rate,
                low=rate * 0.95,
                high=rate * 1.05,
                latency_ms=14.4 if best else 284.0,
                overlap="threads" if best else "serial",
                batch=32 if best else 8,
                workers=2 if best else 0,
                cores=16,
                cpu_busy=0.17,
                gpu_busy=0.48,
                memory_bytes=5_664_562_176,
                joules_per_photo=0.409,
                steady=not best,
            )
            stages_named = ("nvimagecodec", "matrix", fast) if best else ("pil", "reference", common)
            named = dict(zip(("decoder", "preprocessor", "detector"), stages_named, strict=True))
            name = f"photo-{'-'.join(stages_named)}-{speed.overlap}"
            rows.append(pipeline_row(name, photo_set, speed=speed, baseline=not best, **named))
            if best:
                rows.append(pipeline_row(name, photo_set, accuracy="passed", low=0.97, **named))
    return [{**row, "session": session} for row in rows]
