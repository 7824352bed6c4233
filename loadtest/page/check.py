"""Looks at the demo's page in Chromium, wide and light, narrow and dark, and keeps a picture of each.

    check.py LOADTEST DIRECTORY

LOADTEST is the program to run the demo with; pictures go to DIRECTORY. The exit status is 1 where something is wrong.
"""

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

LOOKS = {
    "demo": {"viewport": {"width": 1100, "height": 800}, "color_scheme": "light"},
    "demo-phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
# Two turns of both clusters are to be seen.
SETTLED_BEFORE = 3
PATIENCE_MS = 120_000


def start(loadtest):
    """Starts the demo; returns its process and the page's address."""
    command = [loadtest, "--log-format", "text", "--rust-log", "warn,librdkafka=error", "demo"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in demo.stdout:
        print(line, end="")
        if line.startswith("watch it at "):
            return demo, line.removeprefix("watch it at ").strip()
    sys.exit("the demo ended before it showed a page")


def wait_until_settled(page):
    """Waits until so many generations are settled."""
    tile = page.locator("#tiles div").filter(has=page.get_by_text("generations settled", exact=True)).locator("dd")
    for _ in range(PATIENCE_MS // 500):
        page.wait_for_timeout(500)
        if tile.count() and int(tile.inner_text()) >= SETTLED_BEFORE:
            return
    sys.exit(f"{SETTLED_BEFORE} generations are not settled in time")


def problems(page, complaints):
    """What is wrong with a page that shows figures."""
    yield from (f"the browser says: {complaint}" for complaint in complaints)
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if width > room:
        yield f"it is {width} pixels wide, where there is room for {room}"
    for chart in ("#rate polyline", "#urls polygon.a", "#urls polygon.b"):
        if page.locator(chart).count() == 0:
            yield f"nothing is drawn of {chart}"
    if page.locator("#books tbody tr").count() < 7:
        yield "the books have less than seven lines"
    if page.locator("#partners tbody tr").count() != 2:
        yield "there are not two partners"


def end(page):
    """What is wrong with the page once the demo has ended."""
    page.locator("#phase", has_text="the demo has ended").wait_for(timeout=PATIENCE_MS)
    verdict = page.inner_text("#verdict")
    if verdict != "lost 0 invented 0":
        yield f"at the end it says {verdict!r}"


def main(loadtest, directory):
    """Runs the demo, looks, and says what was found."""
    demo, address = start(loadtest)
    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        pages = {}
        for name, look in LOOKS.items():
            page, complaints = browser.new_context(**look).new_page(), []
            page.on("console", lambda message, to=complaints: to.append(message.text))
            page.on("pageerror", lambda error, to=complaints: to.append(str(error)))
            page.goto(address)
            pages[name] = (page, complaints)
        for name, (page, complaints) in pages.items():
            wait_until_settled(page)
            page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)
            found += [f"{name}: {problem}" for problem in problems(page, complaints)]
        for name, (page, _) in pages.items():
            found += [f"{name}: {problem}" for problem in end(page)]
        browser.close()
    print(demo.communicate()[0], end="")
    if demo.returncode != 0:
        found.append(f"the demo ended with {demo.returncode}")
    for problem in found:
        print(f"FAILED  {problem}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
