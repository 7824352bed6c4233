"""Alerts, runbooks and dashboards lead to each other."""

import re

from .files import K8S, RUNBOOKS, alerts, boards

HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
BASE_RUNBOOK = "https://runbooks.example.invalid/crawler-hints/"
BASE_DASHBOARD = "https://grafana.example.invalid/d/"
COMMANDS = {"admin", "order", "key_file", "logs", "redis", "tool", "ask", "kubectl"}


def check():
    """Yields alerts without a runbook or dashboard, runbooks without an alert, and links to nowhere."""
    uids = {board["uid"] for board in boards().values()}
    names = set()
    for rule in alerts():
        name, texts = rule["alert"], rule["annotations"]
        names.add(name.lower())
        if missing := {"summary", "description", "runbook_url", "dashboard_url"} - texts.keys():
            yield f"{name} has no {', '.join(missing)}"
            continue
        if texts["runbook_url"] != BASE_RUNBOOK + name.lower():
            yield f"{name}'s runbook is to be {BASE_RUNBOOK}{name.lower()}"
        if texts["dashboard_url"].removeprefix(BASE_DASHBOARD) not in uids:
            yield f"{name}'s dashboard {texts['dashboard_url']} does not exist"
        if not (RUNBOOKS / f"{name.lower()}.md").exists():
            yield f"{name} has no runbook"
    for path in sorted(RUNBOOKS.glob("crawlerhints*.md")):
        if path.stem not in names:
            yield f"{path.name} is no alert's runbook"
        yield from runbook(path)
    for path in sorted(K8S.glob("**/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            if not (path.parent / target).exists():
                yield f"{path.relative_to(K8S)} links to {target}, which does not exist"


def runbook(path):
    """A runbook has its four parts, each with text, and commands that its reader has."""
    text = path.read_text()
    parts = re.findall(r"^## (\w+)\n\n(.+?)(?=\n\n## |\Z)", text, re.MULTILINE | re.DOTALL)
    if [heading for heading, _ in parts] != HEADINGS:
        yield f"{path.name} is to have the parts {', '.join(HEADINGS)}"
    title = text.split("\n", 1)[0].removeprefix("# ")
    if title.lower() != path.stem:
        yield f"{path.name} has the title {title}"
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.split()[0] not in COMMANDS:
                yield f"{path.name} runs {line.split()[0]}, which oncall.sh does not know"
