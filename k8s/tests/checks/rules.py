"""Alerting and recording rules: promtool's lint, and what each alert does on series made for it.

`alerts/*.yaml` hold the cases: series of a point a minute, a time at which the alert is quiet and one at which it
fires with exactly these labels. promtool runs them.
"""

import pathlib
import re
import tempfile

import yaml

from .files import TESTS, alerts, documents, groups, run

BASE = {"alertstate": "firing"}


def check():
    """Yields what promtool does not like, and alerts without a quiet or a firing case."""
    cases = [case for path in sorted((TESTS / "alerts").glob("*.yaml")) for case in documents(path.read_text())[0]]
    yield from complete(cases)
    with tempfile.TemporaryDirectory() as directory:
        rules = pathlib.Path(directory, "rules.yaml")
        rules.write_text(yaml.safe_dump({"groups": groups()}))
        good, said = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", rules)
        if not good:
            yield f"promtool check rules: {said}"
            return
        tests = pathlib.Path(directory, "tests.yaml")
        tests.write_text(yaml.safe_dump(unit_tests(cases)))
        good, said = run("promtool", "test", "rules", tests)
        if not good:
            yield f"promtool test rules: {said}"


def complete(cases):
    """Every alert has both points, every case an alert, and every label that a text names is there."""
    by_name = {}
    for rule in alerts():
        by_name.setdefault(rule["alert"], []).append(rule)
    for case in cases:
        # YAML reads an unquoted 0x30 as the number 48.
        if not all(isinstance(values, str) for values in case["series"].values()):
            yield f"case {case['name']!r} has a series without quotes"
        if case["alert"] not in by_name:
            yield f"case {case['name']!r} tests {case['alert']}, which no rule defines"
    for name, rules in by_name.items():
        mine = [case for case in cases if case["alert"] == name]
        fired = [labels for case in mine if "firing" in case for labels in case["firing"]["alerts"]]
        if not any("quiet" in case for case in mine):
            yield f"{name} has no quiet case"
        for rule in rules:
            if not any(len(rules) == 1 or rule["labels"].items() <= labels.items() for labels in fired):
                yield f"{name} {rule['labels']} has no firing case"
            used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
            for labels in fired:
                if used - labels.keys() - rule["labels"].keys():
                    yield f"{name}'s text uses the labels {used}, it fires with {labels}"


def unit_tests(cases):
    """promtool's form of the cases."""
    own = {}
    for rule in alerts():
        own.setdefault(rule["alert"], []).append(rule["labels"])
    tests = []
    for case in cases:
        name = case["alert"]
        selector = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
        points = []
        if "quiet" in case:
            points.append({"expr": selector, "eval_time": case["quiet"], "exp_samples": []})
        if "firing" in case:
            labels = own[name][0] if len(own[name]) == 1 else {}
            samples = [sample({"alertname": name, **BASE, **labels, **alert}) for alert in case["firing"]["alerts"]]
            points.append({"expr": selector, "eval_time": case["firing"]["at"], "exp_samples": samples})
        series = [{"series": series, "values": values} for series, values in case["series"].items()]
        tests.append({"name": f"{name}: {case['name']}", "interval": "1m", "input_series": series,
                      "promql_expr_test": points})
    return {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}


def sample(labels):
    """An expected sample of ALERTS."""
    text = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return {"labels": f"ALERTS{{{text}}}", "value": 1}
