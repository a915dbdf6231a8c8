"""Whether a bundle's engine is of this machine: the same device, driver and versions, or a sentence for each that is
not."""

from collections.abc import Mapping
from typing import Any

from reports.bundle.format import Bundle, Machine
from reports.record.session import Environment


def machine_of(environment: Environment, device: str) -> Machine:
    """What counts of an environment for an engine on `device`."""
    on_gpu = device == "cuda"
    gpu = environment.card
    return Machine(
        device="cuda" if on_gpu else "cpu",
        platform=environment.platform or "",
        cpu=environment.cpu or "",
        cores=environment.cores,
        gpu=(gpu.name or environment.gpu or "") if on_gpu else "",
        compute_capability=gpu.capability if on_gpu else "",
        driver=(gpu.driver or "") if on_gpu else "",
    )


def misfits(bundle: Bundle, here: Machine, built_with: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each reason why the engine must be built again before it is used here; none where it fits.

    `built_with` is what the backend would build with here. An engine for one GPU, TensorRT or ONNX Runtime may not load
    with another, or load and compute something else: what was measured says nothing of it.
    """
    then = bundle.machine
    if then.device != here.device:
        return (f"the engine is for {_device(then)}, and is to run on {_device(here)}",)
    differences = []
    if then.device == "cuda":
        if (then.gpu, then.compute_capability) != (here.gpu, here.compute_capability):
            differences.append(f"the engine was built for {_gpu(then)}, and this machine has {_gpu(here)}")
        if then.driver != here.driver:
            differences.append(
                f"it was measured with NVIDIA's driver {then.driver or '?'}, and here is {here.driver or '?'}"
            )
    elif (then.cpu, then.cores) != (here.cpu, here.cores):
        differences.append(f"the engine was measured on {_cpu(then)}, and this machine has {_cpu(here)}")
    for name in sorted({*built_with, *bundle.built_with}):
        was, now = bundle.built_with.get(name), built_with.get(name)
        if was != now:
            differences.append(f"it was built with {name} {_value(was)}, and here is {_value(now)}")
    return tuple(map(_printable, differences))


def _device(machine: Machine) -> str:
    return f"a GPU ({machine.gpu})" if machine.device == "cuda" else "the CPU"


def _gpu(machine: Machine) -> str:
    return f"{machine.gpu or 'no GPU'} (compute capability {machine.compute_capability or '?'})"


def _cpu(machine: Machine) -> str:
    return f"{machine.cpu or 'a CPU without a name'} with {machine.cores} cores"


def _printable(sentence: str) -> str:
    """Names and values of `built_with` are texts of any kind."""
    return "".join(each if each.isprintable() else "?" for each in sentence)


def _value(value: Any) -> str:
    return "none" if value in (None, "") else str(value)
