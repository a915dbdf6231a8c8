"""A made-up network to search: what each group gains and costs is given, so that the best answer is known."""

from collections.abc import Sequence

from fixtures.search.points import Kept, Point, TimeRatio
from fixtures.search.space import FP32, Configuration, GroupChoice, Setting, Space

INT8_GAINS = (0.5, 2.0, 1.5, 0.2, 0.0, 1.0)
INT8_LOSSES = (0.001, 0.004, 0.5, 0.002, 0.001, 0.008)
FP32_MS = 10.0
PRECISIONS = ("fp32", "fp16", "int8")
ONE_SETTING = (Setting(backend="onnxruntime", batch=8),)


def space(settings: Sequence[Setting] = ONE_SETTING) -> Space:
    """Six groups; the third is ruined by INT8, the fifth gains nothing."""
    groups = tuple(
        GroupChoice(name=f"/block.{number}", int8_layers=4, precisions=PRECISIONS) for number in range(len(INT8_GAINS))
    )
    backends = {setting.backend for setting in settings}
    return Space(
        tuple(settings),
        groups,
        uniform=dict.fromkeys(backends, PRECISIONS),
        mixing={backend: backend != "pytorch" for backend in backends},
    )


def measured(configuration: Configuration) -> Point:
    """FP16 has half of INT8's gain and a twentieth of its loss; everything adds up."""
    shares = [{"fp32": 0.0, "fp16": 0.5, "int8": 1.0}[each] for each in configuration.precisions]
    gain = sum(share * gain for share, gain in zip(shares, INT8_GAINS, strict=True))
    losses = zip(configuration.precisions, INT8_LOSSES, strict=True)
    loss = sum({"fp32": 0.0, "fp16": 0.05, "int8": 1.0}[each] * loss for each, loss in losses)
    milliseconds = (FP32_MS - gain) * configuration.setting.batch / 8
    # A larger batch is a little better.
    milliseconds *= 1 + 0.1 * (configuration.setting.batch < 8)
    return Point(
        configuration=configuration,
        seconds=1.0,
        milliseconds=milliseconds,
        images_per_second=configuration.setting.batch * 1e3 / milliseconds,
        time_ratio=TimeRatio(value=1.0, low=0.99, high=1.01),
        kept=kept(1 - loss),
        noise=loss,
        layers={},
    )


def kept(value: float) -> Kept:
    return Kept(metric="zero-shot top-1", value=value, low=value - 0.01, high=min(1.0, value + 0.01), images=100)


def configuration(*precisions: str, setting: Setting = ONE_SETTING[0]) -> Configuration:
    """`precisions` of the first groups, FP32 in the others."""
    return Configuration(setting=setting, precisions=(*precisions, *(FP32,) * (len(INT8_GAINS) - len(precisions))))
