"""Alertmanager's routes and inhibitions."""

import re

from .files import K8S, TESTS, alerts, documents, run

CONFIG = K8S / "alertmanager.yml"


def check():
    """Yields what amtool refuses, alerts that reach the wrong receiver, and inhibitions of alerts that do not exist."""
    good, said = run("amtool", "check-config", CONFIG)
    if not good:
        yield f"amtool check-config: {said}"
        return
    for case in documents((TESTS / "routes.yaml").read_text())[0]:
        labels = [f"{name}={value}" for name, value in case["labels"].items()]
        test = ("config", "routes", "test", f"--config.file={CONFIG}", f"--verify.receivers={case['receiver']}")
        good, said = run("amtool", *test, *labels)
        if not good:
            yield f"{case['labels']} is to reach {case['receiver']}: {said}"
    for rule in alerts():
        if rule["labels"].get("severity") not in ("critical", "warning") or rule["labels"].get("team") != "crawler-hints":
            yield f"{rule['alert']} has no severity or team that a route knows"
    yield from inhibitions()


def inhibitions():
    """Every word of an inhibition's pattern is part of an alert's name that the pattern matches."""
    names = {rule["alert"] for rule in alerts()}
    for rule in documents(CONFIG.read_text())[0]["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            pattern = re.fullmatch(r'alertname=~?"(.*)"', matcher).group(1)
            matched = [name for name in names if re.fullmatch(pattern, name)]
            for word in re.findall(r"\w+", pattern):
                if not any(word in name for name in matched):
                    yield f"an inhibition of {pattern} names {word}, which is no alert"
