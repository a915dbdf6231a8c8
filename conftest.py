"""The suite's pytest plugin. Imports nothing heavy: `pytest-benchmark compare` loads this file too."""

pytest_plugins = [
    "fixtures.pytest_plugin.hooks",
    "fixtures.pytest_plugin.fixtures",
    "fixtures.pytest_plugin.pipelines",
    "fixtures.pytest_plugin.serving",
]
