"""A browser, and pages opened in it. Everything about it is imported only where a test asks for it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports.html.page import write_report
from reports.record.schema import Row

if TYPE_CHECKING:
    from tests.helpers.browsing import Opened

DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from tests.helpers.browsing import BROWSER, NAMES, playwright

    assert BROWSER, f"BENCH_NEEDS_BROWSER is set, and none of {', '.join(NAMES)} is here"
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=BROWSER)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
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
        path = rows if isinstance(rows, Path) else write_report(rows, tmp_path / "report")
        context = browser.new_context(viewport=size, color_scheme=scheme, **how)
        context.set_default_timeout(10_000)
        page = context.new_page()
        seen = Opened(page, path)
        pages.append(seen)
        own = (path.as_uri(), "blob:", "data:")
        page.on("request", lambda asked: asked.url.startswith(own) or seen.complaints.append(f"asked for {asked.url}"))
        page.on("console", lambda said: said.type in ("error", "warning") and seen.complaints.append(said.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (seen.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.route(re.compile("^(?!file:|blob:|data:)"), lambda route: route.abort())
        page.goto(path.as_uri())
        yield seen
        context.close()

    yield show
    assert [complaint for page in pages for complaint in page.complaints] == []
