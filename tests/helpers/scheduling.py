"""Which tests pytest-xdist runs in one process, one after another.

pytest-xdist's own groups (`--dist loadgroup`) need the name of a test to carry its group, and pytest 9.2 no longer lets
a plugin change that name: every test then counts as a group of its own, and each process makes a module's fixtures
again. The scheduler is therefore given the groups by the hook that pytest-xdist has for this.
"""

from xdist.scheduler import LoadScopeScheduling

# What measures time: not two of these at once.
TIMING = (
    "tests/bundle/test_command.py",
    "tests/compare/test_command.py",
    "tests/gpu/test_lock.py",
    "tests/gpu/test_nvml.py",
    "tests/isolation/test_waiting.py",
    "tests/serving/test_closed_loop.py",
    "tests/sessions/test_bundles.py",
    "tests/timing/",
)


class ByModule(LoadScopeScheduling):
    """The tests of a module share a process, and so their fixtures; the modules that measure time share one."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.split("::", maxsplit=1)[0]
        return "timing" if module.startswith(TIMING) else module
