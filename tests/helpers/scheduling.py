"""Which tests pytest-xdist runs in one process, one after another, and which of them begin first.

pytest-xdist's own groups (`--dist loadgroup`) need the name of a test to carry its group, and pytest 9.2 no longer lets
a plugin change that name: every test then counts as a group of its own, and each process makes a module's fixtures
again. The scheduler is therefore given the groups by the hook that pytest-xdist has for this.
"""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# What measures time: not two of these at once. Of tests/bundle one module does, and the others share its run.
TIMING = (
    "tests/bundle/",
    "tests/compare/test_command.py",
    "tests/gpu/test_lock.py",
    "tests/gpu/test_nvml.py",
    "tests/isolation/test_waiting.py",
    "tests/serving/test_closed_loop.py",
    "tests/sessions/test_bundles.py",
    "tests/timing/",
)
GROUPS = {
    "timing": TIMING,
    # What looks at the one run of the embedded suite: a second process would only wait until that run is there.
    "embedded job": ("tests/sessions/test_bench_run.py", "tests/sessions/test_offline.py"),
    # Share engines and open pipelines.
    "pipelines": ("tests/pipeline/",),
}
# What takes longest, the longest first: begun late, it would leave the other processes without work at the end.
FIRST = (
    "timing",
    "embedded job",
    "tests/html/test_browser.py",
    "pipelines",
    "tests/backends/test_backends.py",
    "tests/sessions/test_isolation.py",
    "tests/serving/test_session.py",
    "tests/models/tao/test_end_to_end.py",
    "tests/sessions/test_interruptions.py",
    "tests/search/test_command.py",
    "tests/sessions/test_resume.py",
    "tests/sessions/test_pipelines.py",
    "tests/doctor/test_tries.py",
    "tests/search/test_measuring.py",
    "tests/isolation/test_requests.py",
    "tests/runner/test_aggregate.py",
)


class ByModule(LoadScopeScheduling):
    """The tests of a module share a process, and so their fixtures; so do the modules of one of the `GROUPS`."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::", maxsplit=1)[0]
        return next((name for name, modules in GROUPS.items() if module.startswith(modules)), module)

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Of what waits: the first of `FIRST`, then, as ever, the module of the most tests."""
        longest = next((scope for scope in FIRST if scope in self.workqueue), None)
        if longest:
            self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)
