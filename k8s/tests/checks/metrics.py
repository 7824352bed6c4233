"""Every metric that rules, dashboards and runbooks use is exported, with those labels; every exported one is drawn."""

import re

from .dashboards import queries
from .files import RUNBOOKS, all_rules, table
from .promql import selectors

# Added by the scrape (PodMonitor), and by us through its relabelling.
TARGET = {"namespace", "pod", "container", "job", "instance", "service", "redis_cluster"}


def check():
    """Yields what is used and not exported, and what is exported and nowhere seen."""
    known = exported()
    drawn = set()
    for where, expression in uses():
        for name, matchers in selectors(expression):
            family = known.get(name)
            if family is None:
                yield f"{where} uses {name}, which nothing exports"
                continue
            if ".json " in where:
                drawn.add(family["name"])
            for label, operator, value in matchers:
                if label not in family["labels"] and label not in TARGET:
                    yield f"{where} asks {name} for the label {label}; it has {sorted(family['labels'])}"
                elif operator == "=" and family["labels"].get(label) and value not in family["labels"][label]:
                    yield f"{where} asks {name} for {label}={value}; there are {sorted(family['labels'][label])}"
    yield from undrawn({family["name"] for family in known.values() if family["ours"]}, drawn)


def undrawn(ours, drawn):
    """What we export is drawn or excepted, with the reason; an exception that is drawn is none."""
    excepted = {row["name"]: row["reason"] for row in table("undrawn.tsv")}
    for name in sorted(ours - drawn - excepted.keys()):
        yield f"{name} is exported and not drawn: draw it, or say in undrawn.tsv why not"
    for name in sorted(excepted.keys() - (ours - drawn)):
        yield f"undrawn.tsv excepts {name}, which is drawn or does not exist"


def uses():
    """Every expression with the place where it stands."""
    for rule in all_rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    yield from queries()
    for path in sorted(RUNBOOKS.glob("*.md")):
        for expression in re.findall(r"^ask '(.*)'$|`ask '([^']*)'`", path.read_text(), re.MULTILINE):
            text = "".join(expression)
            if text != "PROMQL":
                yield path.name, text.replace("NAME", "bing")


def exported():
    """Series names and their families: ours by the committed list, others' by theirs, and recorded ones."""
    series = {}
    for row in table("metrics.tsv"):
        labels = dict(pair.split("=") for pair in row.get("labels", "").split())
        family = series.get(row["name"]) or series.get(f"{row['name']}_count") or {"name": row["name"], "labels": {}, "ours": True}
        for label, values in labels.items():
            family["labels"].setdefault(label, set()).update(filter(None, values.split("|")))
        names = [row["name"]]
        if row["kind"] == "histogram":
            family["labels"]["le"] = set()
            names = [f"{row['name']}_{suffix}" for suffix in ("bucket", "sum", "count")]
        series |= {name: family for name in names}
    for row in table("external.tsv"):
        labels = {label: set() for label in row["labels"].split(",")}
        series[row["name"]] = {"name": row["name"], "labels": labels, "ours": False}
    for rule in all_rules():
        if "record" in rule:
            series[rule["record"]] = {"name": rule["record"], "labels": {"partner": set()}, "ours": False}
    return series
