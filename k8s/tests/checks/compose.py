"""compose.yaml: restricted as pods are, with settings that the programs know and the dev overlay has, and nothing that
is not there."""

import re

import yaml

from .files import K8S, build, table
from .pods import of_kind, pods
from .product import SERVICES

ROOT = K8S.parent
# What differs from the dev overlay: the users of Kafka, and clusters of three masters, as base has them.
OWN = {"REDIS_A", "REDIS_B", "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD_FILE"}


def check():
    """Yields what is not as in k8s/."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    images = set((K8S / "images/Dockerfile").read_text().split())
    for name, service in compose["services"].items():
        for problem in [*restricted(service), *files(service, compose["secrets"])]:
            yield f"{name} {problem}"
        image = re.fullmatch(r"crawler-hints/([a-z-]+):dev", service["image"])
        if not image or image[1] not in images:
            yield f"{name} runs {service['image']}, which k8s/images does not build"
        if name in SERVICES:
            for problem in settings(name, service):
                yield f"{name} {problem}"


def restricted(service):
    """What k8s asks of a pod, as far as Docker has it."""
    wanted = {"user": "65532:65532", "read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "pull_policy": "never"}
    if not wanted.items() <= service.items() or "mem_limit" not in service or "privileged" in service or "cap_add" in service:
        yield f"is to have {wanted} and a mem_limit, and nothing that undoes them"
    for port in service.get("ports", []):
        if not port.startswith("127.0.0.1:"):
            yield f"publishes {port} beyond loopback"


def files(service, secrets):
    """What is mounted is there."""
    for mount in service.get("volumes", []):
        source, _, options = mount.split(":", 2) if mount.count(":") == 2 else (*mount.split(":"), "")
        if source.startswith("./") and (not (ROOT / source).exists() or options != "ro"):
            yield f"mounts {mount}, which is not there or could be written to"
    for secret in service.get("secrets", []):
        if secret["source"] not in secrets or not (K8S / "compose/secrets" / secret["source"]).is_file():
            yield f"reads secret {secret['source']}, which is not there"


def settings(name, service):
    """Known to the program, on files that are mounted; the rest as the dev overlay's."""
    lines = (ROOT / service["env_file"]).read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines) | {key: str(value) for key, value in service["environment"].items()}
    known = {row["variable"] for row in table("settings.tsv") if row["service"] == name}
    mounted = {secret["target"] for secret in service["secrets"]}
    for variable, value in environment.items():
        if variable not in known:
            yield f"sets {variable}, which it does not know"
        if value.startswith("/") and value not in mounted:
            yield f"sets {variable}={value}, which is not mounted"
    dev = next(thing["data"] for thing in of_kind(build("overlays/dev"), "ConfigMap") if thing["metadata"]["name"].rsplit("-", 1)[0] == name)
    for variable in (environment.keys() | dev.keys()) - OWN:
        if environment.get(variable) != dev.get(variable):
            yield f"has {variable}={environment.get(variable)}, the dev overlay {dev.get(variable)}"
    limit = next(container["resources"]["limits"]["memory"] for _, labels, spec in pods(build("overlays/dev"))
                 if labels.get("app.kubernetes.io/name") == name for container in spec["containers"])
    if service["mem_limit"] != limit.removesuffix("i").lower():
        yield f"has mem_limit {service['mem_limit']}, the dev overlay {limit}"
