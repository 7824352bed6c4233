"""What every build must be: built at all, restricted, bounded, and scaled by one thing only."""

import re

from .files import build, name_of
from .pods import BUILDS, of_kind, pods


def check():
    """Yields what breaks a rule of k8s/README.md."""
    for directory in BUILDS:
        try:
            objects = build(directory)
        except RuntimeError as error:
            yield str(error)
            continue
        for thing, _, spec in pods(objects):
            for problem in [*restricted(spec), *spread(spec)]:
                yield f"{directory} {name_of(thing)}: {problem}"
        for problem in scaling(objects):
            yield f"{directory} {problem}"
    yield from production(build("overlays/production"))
    for kind in of_kind(build("overlays/dev"), "PodDisruptionBudget", "PrometheusRule", "ScaledObject"):
        yield f"overlays/dev {name_of(kind)} has no place there"
    for thing, _, spec in pods(build("overlays/dev")):
        for container in spec["containers"]:
            if container.get("imagePullPolicy") != "Never":
                yield f"overlays/dev {name_of(thing)}: {container['name']} would be pulled"


def restricted(spec):
    """Pod security `restricted`, and what we ask beyond it."""
    pod = spec.get("securityContext", {})
    if not pod.get("runAsNonRoot") or pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "is to run as non-root under the runtime's seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "mounts a token of the API server"
    for container in spec["containers"] + spec.get("initContainers", []):
        context = container.get("securityContext", {})
        wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        if not wanted.items() <= context.items():
            yield f"{container['name']}: securityContext is to hold {wanted}"
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
            yield f"{container['name']} is to request cpu and memory, and to limit memory"
        if "cpu" in resources.get("limits", {}):
            yield f"{container['name']} has a CPU limit, which throttles pollers"
    for volume in spec.get("volumes", []):
        if not volume.keys() & {"configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim"}:
            yield f"volume {volume['name']} is of a kind that `restricted` refuses"


def spread(spec):
    """No label that is both selected and matched: the API server refuses each pod, though not what makes the pods."""
    for constraint in spec.get("topologySpreadConstraints", []):
        selected = constraint.get("labelSelector", {}).get("matchLabels", {}).keys()
        for key in selected & set(constraint.get("matchLabelKeys", [])):
            yield f"spread over {constraint['topologyKey']}: {key} is in labelSelector, so it may not be in matchLabelKeys"


def scaling(objects):
    """One autoscaler a Deployment; its container exists; nothing that is elected is scaled."""
    scalers = of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject")
    targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]
    containers = {thing["metadata"]["name"]: [each["name"] for each in spec["containers"]] for thing, _, spec in pods(objects)}
    for scaler, target in zip(scalers, targets):
        if targets.count(target) > 1:
            yield f"{target} has more than one autoscaler"
        if target == "flipper":
            yield "flipper is elected: it has no autoscaler"
        named = re.findall(r"'container(?:Name)?': '([^']+)'", str(scaler["spec"]))
        if not named or set(named) - set(containers.get(target, [])):
            yield f"{name_of(scaler)} measures {named} of {target}, which has {containers.get(target)}"


def production(objects):
    """Images by digest, and no number where an autoscaler owns it."""
    for thing, _, spec in pods(objects):
        for container in spec["containers"]:
            if "@sha256:" not in container["image"]:
                yield f"production {name_of(thing)}: {container['image']} has no digest"
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(objects, "ScaledObject")}
    for deployment in of_kind(objects, "Deployment"):
        if deployment["metadata"]["name"] in scaled and "replicas" in deployment["spec"]:
            yield f"production {name_of(deployment)} sets replicas, which its autoscaler owns"
