"""A session with fake workers in a process of its own: `python -m tests.helpers.fake_session ORDERS OPTION…`."""

import json
import sys

import pytest

from tests.helpers.fake_workers import FakeSession, Orders, fake_backends

if __name__ == "__main__":
    with fake_backends():
        sys.exit(
            int(pytest.main(sys.argv[2:], plugins=[FakeSession(Orders(**json.loads(sys.argv[1])), preload=False)]))
        )
