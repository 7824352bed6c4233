"""Prometheus as it runs on Kubernetes, in small: its settings, and its answers."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request

import yaml

from checks.files import groups

SCRAPE_EVERY = 2


def write_settings(directory, targets, exporter):
    """Writes the product's rules, and settings that scrape what a file lists, Redis nodes by way of the exporter."""
    rules, settings = directory / "rules.yaml", directory / "prometheus.yaml"
    rules.write_text(yaml.safe_dump({"groups": groups()}))

    def of_node(label, value):
        return {"source_labels": ["container", "__address__"], "regex": "exporter;(.+)", "target_label": label,
                "replacement": value}

    settings.write_text(yaml.safe_dump({
        "global": {"scrape_interval": f"{SCRAPE_EVERY}s", "evaluation_interval": f"{SCRAPE_EVERY}s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{
            "job_name": "crawler-hints",
            "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}],
            "relabel_configs": [
                of_node("instance", "$1"),
                of_node("__param_target", "redis://$1"),
                of_node("__metrics_path__", "/scrape"),
                of_node("__address__", exporter),
            ],
        }],
    }))
    return settings


class Prometheus:
    """One that runs at an address."""

    def __init__(self, address):
        self.address = address

    def range(self, query, start, end, step):
        """Series of a query over time: [(labels, [(time, value)])], values that are no number left out."""
        result = self._ask("query_range", query=query, start=start, end=end, step=step)["result"]
        return _numbers((series["metric"], series["values"]) for series in result)

    def instant(self, query, at):
        """The same at one time."""
        result = self._ask("query", query=query, time=at)["result"]
        return _numbers((series["metric"], [series["value"]]) for series in result)

    def label_values(self, label, selector, start, end):
        """Values of a label among the series of a selector."""
        return self._ask(f"label/{label}/values", **{"match[]": selector}, start=start, end=end)

    def metrics(self, start, end):
        """The names of all series."""
        return set(self._ask("label/__name__/values", start=start, end=end))

    def _ask(self, what, **parameters):
        url = f"http://{self.address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"Prometheus refuses {parameters}: {error.read().decode()}") from error


def _numbers(series):
    """Without NaN, which is drawn as nothing, and without series that are nothing else."""
    found = []
    for labels, values in series:
        numbers = [(at, float(value)) for at, value in values if math.isfinite(float(value))]
        if numbers:
            found.append((labels, numbers))
    return found
