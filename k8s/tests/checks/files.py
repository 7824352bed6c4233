"""Where things are, how they are read, and how a tool is run."""

import functools
import json
import pathlib
import subprocess

import yaml

TESTS = pathlib.Path(__file__).resolve().parent.parent
K8S = TESTS.parent
MONITORING = K8S / "base/monitoring"
RUNBOOKS = K8S / "runbooks"


class OnceLoader(yaml.SafeLoader):
    """Refuses a key that stands there twice: YAML's own last one wins hides mistakes."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"{node.start_mark}: {twice} stands there twice")
        return super().construct_mapping(node, deep)


def documents(text):
    """The documents of a YAML text."""
    return [document for document in yaml.load_all(text, OnceLoader) if document is not None]


def table(name):
    """The rows of a committed list under `exported/`, as dictionaries."""
    head, *rows = (TESTS / "exported" / name).read_text().splitlines()
    return [dict(zip(head.split("\t"), row.split("\t"))) for row in rows]


@functools.cache
def tools():
    """The directory of kustomize, promtool and amtool; fetched where they are missing."""
    return pathlib.Path(subprocess.run([TESTS / "tools"], check=True, capture_output=True, text=True).stdout.strip())


def run(tool, *arguments):
    """Runs a tool; its exit status is good or not, and what it said."""
    done = subprocess.run([tools() / tool, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


@functools.cache
def build(directory):
    """What `kustomize build` makes of a directory below `k8s/`: objects, or the error."""
    done = subprocess.run([tools() / "kustomize", "build", K8S / directory], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"kustomize build {directory}: {done.stderr.strip()}")
    return documents(done.stdout)


def name_of(thing):
    """How a problem names an object."""
    return f"{thing['kind']}/{thing['metadata']['name']}"


@functools.cache
def rule_files():
    """The PrometheusRule objects by file name."""
    return {path.name: documents(path.read_text())[0] for path in sorted(MONITORING.glob("prometheusrule-*.yaml"))}


def groups():
    """Every rule group."""
    return [group for rule in rule_files().values() for group in rule["spec"]["groups"]]


def all_rules():
    """Every rule, recording ones and alerts."""
    return [rule for group in groups() for rule in group["rules"]]


def alerts():
    """Alerting rules; several may share a name."""
    return [rule for rule in all_rules() if "alert" in rule]


@functools.cache
def boards():
    """The dashboards by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted((MONITORING / "dashboards").glob("*.json"))}
