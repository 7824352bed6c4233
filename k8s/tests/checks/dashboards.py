"""Dashboards: fresh from their sources, whole, readable, and every query one that Prometheus understands."""

import importlib.machinery
import importlib.util
import pathlib
import tempfile

import yaml

from .files import K8S, MONITORING, boards, run
from .promql import concrete

UNITS = {"none", "short", "s", "bytes", "Bps", "percentunit", "eps", "mps", "ops", "reqps"}


def check():
    """Yields what is stale, missing, doubled or not understood."""
    fresh = generator().rendered()
    committed = {path.name: path.read_text() for path in (MONITORING / "dashboards").glob("*.json")}
    if fresh != committed:
        yield "base/monitoring/dashboards is stale: k8s/dashboards/generate"
        return
    uids = [board["uid"] for board in boards().values()]
    for name, board in boards().items():
        if board["uid"] != f"crawler-hints-{name.removesuffix('.json')}" or uids.count(board["uid"]) > 1:
            yield f"{name} has the uid {board['uid']}"
        if len(committed[name]) > 1 << 20:
            yield f"{name} is too large for a ConfigMap"
        for problem in layout(board):
            yield f"{name}: {problem}"
        for panel in drawn(board):
            for problem in readable(panel):
                yield f"{name} {panel['title']!r}: {problem}"
    yield from parse()


def generator():
    """The script that writes them, as a module."""
    loader = importlib.machinery.SourceFileLoader("generate", str(K8S / "dashboards/generate"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("generate", loader))
    loader.exec_module(module)
    return module


def drawn(board):
    """The panels that draw something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries():
    """Every query of every dashboard: (where, expression)."""
    for name, board in boards().items():
        for panel in drawn(board):
            for target in panel["targets"]:
                yield f"{name} {panel['title']!r}", target["expr"]
        for annotation in board["annotations"]["list"]:
            yield f"{name} annotation {annotation['name']}", annotation["expr"]


def layout(board):
    """No number twice, no panel over another."""
    numbers = [panel["id"] for panel in board["panels"]]
    if len(numbers) != len(set(numbers)):
        yield "panels share an id"
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        if cells & taken or place["x"] + place["w"] > 24:
            yield f"{panel['title']!r} lies over another panel or outside"
        taken |= cells


def readable(panel):
    """Somebody who is woken up understands it."""
    if not panel["title"] or len(panel.get("description", "")) < 10:
        yield "has no description"
    if panel["fieldConfig"]["defaults"]["unit"] not in UNITS:
        yield f"has the unit {panel['fieldConfig']['defaults']['unit']!r}"
    for target in panel["targets"]:
        if not target["legendFormat"] or target["datasource"]["uid"] != "${datasource}":
            yield "has a query without a legend or with a fixed data source"


def parse():
    """promtool reads each query as a recording rule."""
    found = list(queries())
    rules = [{"record": f"query:{number}", "expr": concrete(query)} for number, (_, query) in enumerate(found)]
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "queries.yaml")
        file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
        good, said = run("promtool", "check", "rules", "--lint=none", file)
        if not good:
            yield f"promtool: {said}; queries are numbered from 0 as {[where for where, _ in found]}"
