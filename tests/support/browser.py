"""A real browser, Debian's Chromium without a window, and what it sees of a page."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.action_chains import ActionChains

AXE = Path(__file__).parent.parent / "page" / "vendor" / "axe.min.js"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "no chromium, or no chromedriver: apt-get install chromium chromium-driver"
DESK, PHONE = 1280, 390
# seconds; axe looks at every row of a long table, and other browsers beside it
SCRIPT_TIMEOUT = 300


@dataclass(frozen=True)
class Browser:
    """One window.

    Attributes:
        driver: the client that drives it.
    """

    driver: Chrome

    def open(self, path: Path, *, width: int = DESK, dark: bool = False, scripts: bool = True) -> None:
        """Load the file at `path` on a screen so wide, forgetting what was logged before."""
        height = 844 if width == PHONE else 900
        mobile = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == PHONE}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setDeviceMetricsOverride", **mobile)
        self.tell("Emulation.setEmulatedMedia", features=[scheme])
        self.tell("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.driver.get("about:blank")
        self.requests(), self.console()
        self.driver.get(path.as_uri())

    def tell(self, command: str, **args: Any) -> dict[str, Any]:
        """Say something in Chromium's own protocol."""
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(command, args)
        return answer

    def run(self, script: str, *args: Any) -> Any:
        """What `script` returns in the page."""
        return self.driver.execute_script(script, *args)

    def requests(self) -> list[str]:
        """The URLs that were asked for since the last look."""
        entries = (json.loads(entry["message"])["message"] for entry in self._log("performance"))
        sent = (entry["params"] for entry in entries if entry["method"] == "Network.requestWillBeSent")
        return [params["request"]["url"] for params in sent]

    def console(self) -> list[str]:
        """What the page's console says since the last look."""
        return [entry["message"] for entry in self._log("browser")]

    def _log(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(name)  # type: ignore[no-untyped-call]
        return found

    def violations(self) -> list[str]:
        """What axe-core has against the page, with the elements concerned."""
        self.run(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "axe.run(document, {resultTypes: ['violations']}).then(arguments[arguments.length - 1])"
        )
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}"
            for one in found["violations"]
        ]

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def focused(self) -> str:
        """What has the focus: its id, or else its tag."""
        return str(self.run("return document.activeElement.id || document.activeElement.localName"))

    def screenshot(self, path: Path) -> None:
        """The whole page as a picture."""
        shot = self.tell("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.tell("Page.printToPDF", printBackground=True)["data"])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser that keeps its files in `folder`, until the end of the block."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    words = [
        "headless=new",
        "disable-gpu",
        f"user-data-dir={folder}",
        "disable-dev-shm-usage",
        "no-first-run",
    ]
    # its sandbox does not work for root
    words += ["no-sandbox"] if os.geteuid() == 0 else []
    for word in words:
        options.add_argument(f"--{word}")
    driver = Chrome(options, ChromeService(str(DRIVER), env={**os.environ, "HOME": str(folder)}))
    driver.set_script_timeout(SCRIPT_TIMEOUT)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
