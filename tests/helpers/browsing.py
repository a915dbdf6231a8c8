"""Looking at pages in the browser of this machine: screens, schemes, and what a report must not do in one.

Needs the packages of the `browser` extra and a Chromium of the system; no browser is downloaded. A test module that
imports this is skipped without the packages; the fixtures are in `tests/html/conftest.py`.
"""

import csv
import io
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
axe = pytest.importorskip("axe_playwright_python", reason="the Python package axe-playwright-python is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
# A machine that is there to look at the page says so: without a browser its tests fail instead of being skipped.
DEMANDED = bool(os.environ.get("BENCH_NEEDS_BROWSER"))
needs_browser = pytest.mark.skipif(
    BROWSER is None and not DEMANDED, reason=f"no browser on this machine: none of {', '.join(NAMES)}"
)

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
# Each screen and each scheme once: the layout is of the screen, the colours are of the scheme.
LOOKS = [(PHONE, "light"), (DESK, "dark")]
LOOK_NAMES = [f"{size['width']}-{scheme}" for size, scheme in LOOKS]
AXE = Path(axe.__file__).with_name("axe.min.js")
# Every text of a page, folded ones too, its pieces apart: table cells must not grow together.
WORDS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (!parentElement.closest('script, style')) found.push(data.replace(/[\\n\\t ]+/g, ' ').trim());
  }
  for (const point of document.querySelectorAll('.point[aria-label]')) found.push(point.getAttribute('aria-label'));
  return found.filter(Boolean).join(' | ');
}"""
# A figure as a reader knows it again: 8 044, 100.4, −1.2, 0.000162.
FIGURE = re.compile(r"(?<![\w.])−?\d+(?:[\u202f.,]\d+)*")
# The screens of the first look.
FIRST_SCREENS = ({"width": 390, "height": 844}, {"width": 1280, "height": 800})


@dataclass
class Opened:
    """A page in the browser, and what it did that a report must not do."""

    page: Any
    path: Path
    complaints: list[str] = field(default_factory=list)

    def listeners(self) -> dict[str, Callable[[Any], object]]:
        """By the page's event what takes down a complaint."""
        own, said = (self.path.as_uri(), "blob:", "data:"), self.complaints.append
        return {
            "request": lambda asked: asked.url.startswith(own) or said(f"asked for {asked.url}"),
            "console": lambda message: message.type in ("error", "warning") and said(message.text),
            "pageerror": lambda error: said(str(error)),
            "dialog": lambda dialog: (said(f"dialog {dialog.message}"), dialog.dismiss()),
        }

    def status(self) -> str:
        return self.page.get_by_role("status").inner_text()

    def choose(self, filter_name: str, label: str) -> None:
        self.page.get_by_role("combobox", name=filter_name).select_option(label=label)

    def shown(self) -> list[str]:
        """The ids of the cases that a reader sees in the tables, from top to bottom."""
        lines = self.page.locator("tr[data-csv]:visible").evaluate_all("found => found.map(row => row.dataset.csv)")
        return [next(csv.reader(io.StringIO(line, newline="")))[0] for line in lines]

    def downloaded(self) -> list[dict[str, str]]:
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Download CSV").click()
        text = Path(download.value.path()).read_bytes().decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))


# Folds opened, of the many alike under Why the first few; of lines and marks that are alike in elements, classes and
# roles, and so in what axe may find, two; and nothing in a box of its own that scrolls: axe does not judge the contrast
# of what is cut off.
UNFOLDED = """() => {
  const seen = {};
  const form = (each) => `${each.tagName} ${each.getAttribute('class')} ${each.getAttribute('role')}`;
  for (const line of document.querySelectorAll('tbody tr:not(.group), g.point, #idle li')) {
    const place = line.closest('section')?.getAttribute('aria-labelledby');
    const alike = [place, form(line), ...Array.from(line.querySelectorAll('*'), form)].join();
    seen[alike] = (seen[alike] ?? 0) + 1;
    if (seen[alike] > 2) line.remove();
  }
  for (const fold of document.querySelectorAll('details')) fold.open = true;
  for (const fold of document.querySelectorAll('ul.why > li:nth-child(n + 3) > details')) fold.open = false;
  for (const box of document.querySelectorAll('.scroll')) box.style.overflow = 'visible';
}"""


def grave(page: Any) -> list[Any]:
    """What axe finds serious on this page, and headings that skip a level."""
    page.evaluate(UNFOLDED)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    # Of what passed, the rules without every element that passed them: most of the time went into listing those.
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    assert len(found["passes"]) > 20
    named = [each for each in found["violations"] if each["impact"] in ("serious", "critical")]
    named += [each for each in found["violations"] if each["id"] == "heading-order"]
    return [(each["id"], [node["html"][:160] for node in each["nodes"]]) for each in named]
