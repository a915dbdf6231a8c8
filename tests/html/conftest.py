"""A browser, and pages opened in it. Everything about it is imported only where a test asks for it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports.html.page import write_report
from reports.record.schema import Row

if TYPE_CHECKING:
    from tests.helpers.browsing import Opened

DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One for all tests: a page of its own keeps each apart from the others."""
    from tests.helpers.browsing import BROWSER, NAMES, playwright

    assert BROWSER, f"BENCH_NEEDS_BROWSER is set, and none of {', '.join(NAMES)} is here"
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=BROWSER)
        yield started
        started.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Row]], Path]:
    """Writes the report of some rows, of the same list once: its page is the same every time."""
    known: dict[int, tuple[list[Row], Path]] = {}

    def write(rows: list[Row]) -> Path:
        if id(rows) not in known:
            # With the list itself, so that no other one takes its id.
            known[id(rows)] = rows, write_report(rows, tmp_path_factory.mktemp("page") / "report")
        return known[id(rows)][1]

    return write


@dataclass
class Tabs:
    """The pages of one browser context that nobody uses just now; a fresh one takes as long as a short test."""

    context: Any
    idle: list[Any] = field(default_factory=list)

    def take(self, size: dict[str, int], scheme: str) -> Any:
        """A page as a fresh one: of this size and scheme, of no forced medium."""
        page = self.idle.pop() if self.idle else self.context.new_page()
        page.set_viewport_size(size)
        page.emulate_media(media="null", color_scheme=scheme)
        return page


@pytest.fixture(scope="module")
def tabs(browser: Any) -> Iterator[Callable[..., Tabs]]:
    """Browser contexts by their settings, each made once."""
    known: dict[str, Tabs] = {}

    def of(**how: Any) -> Tabs:
        key = repr(sorted(how.items()))
        if key not in known:
            context = browser.new_context(**how)
            context.set_default_timeout(10_000)
            context.route(re.compile("^(?!file:|blob:|data:)"), lambda route: route.abort())
            known[key] = Tabs(context)
        return known[key]

    yield of
    for each in known.values():
        each.context.close()


@pytest.fixture
def opened(
    tabs: Callable[..., Tabs], written: Callable[[list[Row]], Path], request: pytest.FixtureRequest
) -> Iterator[Any]:
    """Opens the report of some rows, or a page that is written already; by default of the test module's `ROWS`.

    At the end of a test nothing may have been complained about or asked for.
    """
    from tests.helpers.browsing import Opened

    pages: list[Opened] = []

    @contextmanager
    def show(
        rows: list[Row] | Path | None = None, size: dict[str, int] = DESK, scheme: str = "light", **how: Any
    ) -> Iterator["Opened"]:
        rows = request.module.ROWS if rows is None else rows
        path = rows if isinstance(rows, Path) else written(rows)
        own = tabs(**how)
        page = own.take(size, scheme)
        seen = Opened(page, path)
        pages.append(seen)
        heard = seen.listeners()
        for event, listener in heard.items():
            page.on(event, listener)
        page.goto(path.as_uri())
        yield seen
        for event, listener in heard.items():
            page.remove_listener(event, listener)
        own.idle.append(page)

    yield show
    assert [complaint for page in pages for complaint in page.complaints] == []
