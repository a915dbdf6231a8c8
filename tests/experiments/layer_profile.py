"""`python -m tests.experiments.layer_profile PLAN …`: where a TensorRT plan spends its time, layer by layer.

TensorRT's own profiler times every layer of the plan, which holds up each kernel until the one before it has ended: the
sum is more than what the engine takes, and says which part is large. Beside it stand the bytes that a layer reads and
writes by the shapes and formats of its inspector, and what they come to in a second. A layer near the memory's own
bandwidth is no faster in a narrower arithmetic, only with narrower tensors.

Several plans are printed side by side, kind by kind: what INT8 gains, and what its conversions cost.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from fixtures.backends.trt.inspector import TYPES
from fixtures.errors import BenchError

CALLS = 50
WARM_CALLS = 10
LARGEST = 12
# How the inspector of 8.6 writes the type of a tensor within its format ("Channel major FP16 format …").
BYTES = {"fp32": 4, "int32": 4, "fp16": 2, "int8": 1, "bool": 1}
TYPE = re.compile("|".join(BYTES), re.IGNORECASE)


@dataclass(frozen=True)
class Layer:
    """A layer of a plan: what it is, the type of what it writes, and the bytes that it reads and writes."""

    name: str
    kind: str
    moved_bytes: int


@dataclass(frozen=True)
class Timed:
    """A layer and its milliseconds a call."""

    layer: Layer
    milliseconds: float


def layers_of(text: str) -> dict[str, Layer]:
    """The layers of an inspector's answer (JSON with detailed verbosity) by name."""
    layers = {}
    # 8.6 separates the names of ONNX nodes by a bare control character.
    for told in json.loads(text, strict=False)["Layers"]:
        if isinstance(told, Mapping):
            moved = [*told.get("Inputs", ()), *told.get("Outputs", ())]
            layers[told["Name"]] = Layer(told["Name"], _kind(told), sum(map(_bytes, moved)))
    return layers


def by_kind(timed: Sequence[Timed]) -> dict[str, tuple[int, float]]:
    """How many layers of each kind, and their milliseconds together."""
    kinds: dict[str, tuple[int, float]] = {}
    for each in timed:
        count, milliseconds = kinds.get(each.layer.kind, (0, 0.0))
        kinds[each.layer.kind] = (count + 1, milliseconds + each.milliseconds)
    return kinds


def _kind(told: Mapping[str, Any]) -> str:
    """ "weighted INT8", "conversion FP16 → INT8", "pointwise FP16" and the like."""
    written = _types(told.get("Outputs", ()))
    weights = told.get("Weights")
    if isinstance(weights, Mapping) and weights.get("Count"):
        return f"weighted {TYPES.get(str(weights.get('Type')), str(weights.get('Type'))).upper()}"
    kind = str(told.get("LayerType", "layer"))
    if kind in ("Reformat", "NoOp", "Reorg") or "reformat" in told["Name"].lower():
        read = _types(told.get("Inputs", ()))
        return f"copy {read}" if read == written else f"conversion {read} → {written}"
    return f"{kind} {written}"


def _types(tensors: Sequence[Mapping[str, Any]]) -> str:
    return "+".join(dict.fromkeys(_type(tensor).upper() for tensor in tensors)) or "nothing"


def _type(tensor: Mapping[str, Any]) -> str:
    match = TYPE.search(str(tensor.get("Format/Datatype", tensor.get("Format", ""))))
    return match[0].lower() if match else "?"


def _bytes(tensor: Mapping[str, Any]) -> int:
    return prod(tensor.get("Dimensions", (0,))) * BYTES.get(_type(tensor), 0)


def profile(plan: Path) -> list[Timed]:
    """Every layer of the plan with its time on this GPU. Raises `BenchError` for a plan that does not run here."""
    import tensorrt as trt
    import torch

    from fixtures.backends.trt.runtime import deserialize

    spent: dict[str, float] = {}

    class Recorder(trt.IProfiler):
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            spent[layer_name] = spent.get(layer_name, 0.0) + ms

    engine = deserialize(plan.read_bytes(), plan)
    layers = layers_of(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
    context = engine.create_execution_context()
    types = {trt.float32: torch.float32, trt.float16: torch.float16, trt.int32: torch.int32, trt.int8: torch.int8}
    tensors = []
    for name in (engine.get_tensor_name(index) for index in range(engine.num_io_tensors)):
        tensors.append(
            torch.rand(tuple(engine.get_tensor_shape(name)), device="cuda").to(types[engine.get_tensor_dtype(name)])
        )
        context.set_tensor_address(name, tensors[-1].data_ptr())
    stream = torch.cuda.Stream()
    for call in range(WARM_CALLS + CALLS):
        if call == WARM_CALLS:
            context.profiler = Recorder()
        context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
    unknown = Layer("", "not named by the inspector", 0)
    return [Timed(layers.get(name, unknown), ms / CALLS) for name, ms in spent.items()]


def as_text(plans: Mapping[str, Sequence[Timed]]) -> str:
    """A table of kinds with a column a plan, then the largest layers of each plan."""
    kinds = {name: by_kind(timed) for name, timed in plans.items()}
    totals = {name: sum(each.milliseconds for each in timed) for name, timed in plans.items()}
    order = sorted({kind for each in kinds.values() for kind in each}, key=lambda kind: -_most(kinds, kind))
    lines = ["milliseconds a call (layers)".ljust(44) + "".join(f"{name[-30:]:>32}" for name in plans)]
    lines.append("all".ljust(44) + "".join(f"{totals[name]:32.3f}" for name in plans))
    for kind in order:
        cells = [kinds[name].get(kind, (0, 0.0)) for name in plans]
        lines.append(kind[:43].ljust(44) + "".join(f"{f'{ms:.3f} ({count})':>32}" for count, ms in cells))
    for name, timed in plans.items():
        lines += ["", f"{name}: the largest layers", "      ms   share      MB    GB/s  kind, name"]
        for each in sorted(timed, key=lambda one: -one.milliseconds)[:LARGEST]:
            moved = each.layer.moved_bytes
            rate = moved / each.milliseconds / 1e6 if each.milliseconds else 0.0
            lines.append(
                f"{each.milliseconds:8.3f} {each.milliseconds / totals[name]:7.1%} {moved / 1e6:7.1f} {rate:7.0f}"
                f"  {each.layer.kind}, {each.layer.name[:60]!r}"
            )
    return "\n".join(lines)


def _most(kinds: Mapping[str, Mapping[str, tuple[int, float]]], kind: str) -> float:
    return max(each.get(kind, (0, 0.0))[1] for each in kinds.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile the plans that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.experiments.layer_profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plans", metavar="PLAN", type=Path, nargs="+", help="engine files of TensorRT")
    asked = parser.parse_args(arguments)
    try:
        print(as_text({f"{plan.parent.name}/{plan.name}": profile(plan) for plan in asked.plans}))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
