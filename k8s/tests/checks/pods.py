"""The pods that objects make."""

BUILDS = ["base", "base/kafka", "overlays/dev", "overlays/production", "oncall", "oncall-dev", "cluster/keda"]

# Secrets made by the site (k8s/README.md) and by Strimzi, with the keys that pods read.
SECRETS = {
    "admin-token": {"token"},
    "indexnow": {"master-key"},
    "redis-passwords": {"ingestor", "flipper", "probe", "replica", "operator"},
    "hints-cluster-ca-cert": {"ca.crt"},
    **{user: {"user.crt", "user.key"} for user in ("ingestor", "flipper", "dispatcher", "auditor")},
}


def pods(objects):
    """Each pod template with the object that makes it: (object, labels, pod spec)."""
    for thing in objects:
        template = {
            "Pod": lambda: thing,
            "Deployment": lambda: thing["spec"]["template"],
            "StatefulSet": lambda: thing["spec"]["template"],
            "Job": lambda: thing["spec"]["template"],
            "CronJob": lambda: thing["spec"]["jobTemplate"]["spec"]["template"],
        }.get(thing["kind"], lambda: None)()
        if template:
            yield thing, template["metadata"].get("labels", {}), template["spec"]


def of_kind(objects, *kinds):
    """Those of these kinds."""
    return [thing for thing in objects if thing["kind"] in kinds]


def matches(selector, labels):
    """Whether a label selector selects these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        if expression["operator"] != "In" or labels.get(expression["key"]) not in expression["values"]:
            return False
    return True
