"""What objects say of each other: selectors, ports, ConfigMaps, Secrets, volumes; and of the product: `product.py`."""

from . import product
from .files import build, name_of
from .pods import BUILDS, SECRETS, matches, of_kind, pods


def check():
    """Yields references to nothing."""
    for directory in BUILDS:
        objects = build(directory)
        for problem in [*selectors(objects), *ports(objects), *mounts(objects), *product.check(objects)]:
            yield f"{directory} {problem}"
    yield from product.kafka(build("overlays/production"))
    yield from product.topics(build("overlays/production"))


def selectors(objects):
    """A selector selects something: of ours, unless it is by Strimzi's labels."""
    labels = [labels for _, labels, _ in pods(objects)]
    for thing in of_kind(objects, "Deployment", "StatefulSet"):
        if not matches(thing["spec"]["selector"], thing["spec"]["template"]["metadata"]["labels"]):
            yield f"{name_of(thing)} does not select its own pods"
    for thing in of_kind(objects, "Service"):
        if not any(matches({"matchLabels": thing["spec"]["selector"]}, each) for each in labels):
            yield f"{name_of(thing)} selects no pod"
    for thing in of_kind(objects, "PodDisruptionBudget", "PodMonitor"):
        if not selected(thing["spec"]["selector"], labels):
            yield f"{name_of(thing)} selects no pod"
    for thing in of_kind(objects, "NetworkPolicy"):
        for selector in peers(thing):
            if not selected(selector, labels) and "redis-bootstrap" not in str(selector) and "oncall" not in str(selector):
                yield f"{name_of(thing)} speaks of {selector}, which selects no pod"


def selected(selector, labels):
    """Whether it selects one of ours, or pods that Strimzi makes."""
    return "strimzi.io/" in str(selector) or is_kafka(selector) or any(matches(selector, each) for each in labels)


def is_kafka(selector):
    """Brokers: Strimzi's, or the dev overlay's."""
    return selector.get("matchLabels") == {"app.kubernetes.io/name": "kafka"}


def peers(policy):
    """The pod selectors of a policy within its own namespace."""
    yield policy["spec"]["podSelector"]
    for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
        for peer in rule.get("from", []) + rule.get("to", []):
            if "podSelector" in peer and "namespaceSelector" not in peer:
                yield peer["podSelector"]


def ports(objects):
    """A port that is named is some selected container's."""
    def names(selector):
        return {port.get("name") for _, labels, spec in pods(objects) if matches(selector, labels)
                for container in spec["containers"] for port in container.get("ports", [])}

    for thing in of_kind(objects, "Service"):
        for port in thing["spec"]["ports"]:
            if port["targetPort"] not in names({"matchLabels": thing["spec"]["selector"]}):
                yield f"{name_of(thing)} leads to port {port['targetPort']}, which no container has"
    for thing in of_kind(objects, "NetworkPolicy"):
        for rule in thing["spec"].get("ingress", []):
            for port in rule.get("ports", []):
                if isinstance(port["port"], str) and port["port"] not in names(thing["spec"]["podSelector"]):
                    yield f"{name_of(thing)} opens port {port['port']}, which no container has"
    for thing in of_kind(objects, "PodMonitor"):
        for endpoint in thing["spec"]["podMetricsEndpoints"]:
            if "strimzi" not in str(thing["spec"]) and endpoint["port"] not in names(thing["spec"]["selector"]):
                yield f"{name_of(thing)} scrapes port {endpoint['port']}, which no container has"
    for thing, _, spec in pods(objects):
        for container in spec["containers"]:
            own = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = container.get(probe, {})
                port = asked.get("httpGet", asked.get("tcpSocket", {})).get("port")
                if port is not None and port not in own:
                    yield f"{name_of(thing)} {probe} asks port {port}, which {container['name']} does not have"


def mounts(objects):
    """Volumes are mounted and mounts have volumes; what they and `env` name is there, key by key."""
    maps = {thing["metadata"]["name"]: set(thing["data"]) for thing in of_kind(objects, "ConfigMap")}
    secrets = SECRETS | {thing["metadata"]["name"]: set(thing["data"]) for thing in of_kind(objects, "Secret")}
    for thing, _, spec in pods(objects):
        claims = [claim["metadata"]["name"] for claim in thing["spec"].get("volumeClaimTemplates", [])]
        volumes = {volume["name"] for volume in spec.get("volumes", [])} | set(claims)
        mounted = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", [])}
        if volumes != mounted:
            yield f"{name_of(thing)} has the volumes {sorted(volumes)} and mounts {sorted(mounted)}"
        for kind, name, keys in named(spec):
            known = (maps if kind == "ConfigMap" else secrets).get(name)
            if known is None:
                yield f"{name_of(thing)} reads {kind} {name}, which is not there"
            elif keys - known:
                yield f"{name_of(thing)} reads {sorted(keys - known)} of {kind} {name}, which has {sorted(known)}"


def named(spec):
    """Every ConfigMap and Secret that a pod names, with the keys it wants."""
    for volume in spec.get("volumes", []):
        for source in [volume, *volume.get("projected", {}).get("sources", [])]:
            if "configMap" in source:
                yield "ConfigMap", source["configMap"]["name"], {item["key"] for item in source["configMap"].get("items", [])}
            if "secret" in source:
                secret = source["secret"]
                yield "Secret", secret.get("secretName", secret.get("name")), {item["key"] for item in secret.get("items", [])}
    for container in spec["containers"]:
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"], set()
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                yield "Secret", reference["name"], {reference["key"]}
