"""Prefect's dashboard in a real browser: Debian's Chromium, driven by Playwright."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from tasks.oci.errors import ProgramMissingError

WAIT_MS = 60_000
_LEAVE_OUT = """folder => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(folder, "…");
}"""
_OF_OTHERS = re.compile(r"net::ERR_|Failed to load resource")
"""What a machine without the internet says of Prefect's own links to it."""


@dataclass
class Browser:
    """A page of the dashboard at `url`; what its console has to complain of is in `complaints`."""

    page: Page
    url: str
    pictures: Path | None
    complaints: list[str] = field(default_factory=list)

    def visit(self, path: str) -> None:
        self.page.goto(f"{self.url}/{path}")

    def open_tab(self, name: str) -> None:
        self.page.get_by_text(name, exact=True).last.click()

    def chosen(self) -> list[str]:
        """What stands in each field that offers a choice."""
        return [field.inner_text().strip() for field in self.page.locator(".p-select").all()]

    def shows(self, *texts: str) -> None:
        """Wait until each text is seen; none of them within a minute fails the test."""
        for text in texts:
            self.page.get_by_text(text).first.wait_for(state="visible", timeout=WAIT_MS)

    def number(self, pattern: str) -> int:
        """The number that the first group of a pattern finds in the page, once there is one."""
        self.page.get_by_text(re.compile(pattern)).first.wait_for(state="visible", timeout=WAIT_MS)
        found = re.search(pattern, self.page.inner_text("body"))
        assert found, pattern
        return int(found[1])

    def picture(self, name: str, height: int = 900, *, unlike_yours: Path | None = None) -> None:
        """Keep what is seen, where somebody wants it; with "…" for a folder that no reader has."""
        if self.pictures is None:
            return
        if unlike_yours is not None:
            self.page.evaluate(_LEAVE_OUT, str(unlike_yours))
        self.pictures.mkdir(parents=True, exist_ok=True)
        clip = {"x": 0, "y": 0, "width": 1024, "height": height}
        self.page.screenshot(path=self.pictures / f"{name}.png", clip=clip)

    def heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not _OF_OTHERS.search(message.text):
            self.complaints.append(message.text)


@contextmanager
def browsing(url: str, pictures: Path | None) -> Iterator[Browser]:
    """A Chromium of its own, without a profile.

    Raises:
        ProgramMissingError: there is none on this machine.
    """
    program = shutil.which("chromium")
    if program is None:
        raise ProgramMissingError("chromium is not installed: make test-operations installs it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1024, "height": 900})
        page.set_default_timeout(WAIT_MS)
        browser = Browser(page, url, pictures)
        page.on("console", browser.heard)
        page.on("pageerror", lambda error: browser.complaints.append(str(error)))
        try:
            yield browser
        finally:
            chromium.close()
