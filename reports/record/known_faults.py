"""Faults of packages that this project has seen, by version: what they do to a case, and what mends them.

A fault in this list excuses nothing. A case that it spoils fails its gate as any other; the reason and the page then
name the fault, so that nobody looks for it in his own weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version


@dataclass(frozen=True)
class KnownFault:
    """`package` in `versions` (a specifier of PEP 440) does `what` to the cases named by the other fields.

    `consequence` is what a run shows of it, `remedy` how to be rid of it. An empty tuple means all.
    """

    package: str
    versions: str
    devices: tuple[str, ...]
    backends: tuple[str, ...]
    tasks: tuple[str, ...]
    precisions: tuple[str, ...]
    what: str
    consequence: str
    remedy: str

    def concerns(self, packages: Mapping[str, str], device: str, case: Mapping[str, object]) -> bool:
        """Whether it is in these packages (by name, "2.5.1+cu124") and spoils this case (the `case` of a row)."""
        of_case = (
            (self.backends, case.get("backend")),
            (self.tasks, case.get("task")),
            (self.precisions, case.get("precision")),
        )
        return self.is_in(packages, device) and all(not named or value in named for named, value in of_case)

    def is_in(self, packages: Mapping[str, str], device: str) -> bool:
        """Whether it is in these packages, for cases on this device."""
        if self.devices and device not in self.devices:
            return False
        try:
            return SpecifierSet(self.versions).contains(Version(packages.get(self.package, "")), prereleases=True)
        except InvalidVersion:  # absent, or a build that names itself otherwise
            return False

    def sentence(self, packages: Mapping[str, str]) -> str:
        """The fault in this run, for a reason or a page."""
        here = packages.get(self.package, self.versions)
        return f"known fault of {self.package} {here}: {self.what}; {self.consequence}. {self.remedy}"


KNOWN_FAULTS = (
    # Seen on x86-64 with AVX-512 and the weights of Ultralytics and of the embedded suite, the stock Ultralytics module
    # included. 2.14.1 computes them rightly; the releases between were not tried.
    KnownFault(
        package="torch",
        versions="==2.5.1",
        devices=("cpu",),
        backends=("torch-compile",),
        tasks=("detection",),
        precisions=(),
        what="torch.compile computes YOLOv8's boxes wrongly on a CPU, by up to 360 pixels",
        consequence="mAP50-95 falls to about 0.82 of eager PyTorch's, and the gate fails",
        remedy="PyTorch 2.14 is right; with 2.5.1 ship another engine",
    ),
)


def known_faults(packages: Mapping[str, str], device: str) -> list[str]:
    """The sentences of all faults that these packages have on this device."""
    return [fault.sentence(packages) for fault in KNOWN_FAULTS if fault.is_in(packages, device)]


def known_fault(session: Mapping[str, object], case: Mapping[str, object]) -> str:
    """The sentence of the first fault that spoils `case` in the session of that row; empty where none is known."""
    environment = session.get("environment")
    if not isinstance(environment, Mapping):
        return ""
    packages = environment.get("packages")
    packages = packages if isinstance(packages, Mapping) else {}
    device = str(environment.get("device", ""))
    faults = (fault for fault in KNOWN_FAULTS if fault.concerns(packages, device, case))
    return next((fault.sentence(packages) for fault in faults), "")
