"""What manifests say of the product: settings, ports, grace, topics, rights, the size of a Redis cluster."""

import re

from .files import K8S, name_of, table
from .pods import SECRETS, of_kind, pods

SERVICES = ("ingestor", "flipper", "dispatcher")
ROOT = K8S.parent


def check(objects):
    """Yields settings that no program knows, and numbers that do not agree."""
    maps = {thing["metadata"]["name"]: thing["data"] for thing in of_kind(objects, "ConfigMap")}
    for thing, _, spec in pods(objects):
        for container in spec["containers"]:
            environment = settings(container, maps)
            if container["name"] in SERVICES:
                yield from service(thing, spec, container, environment)
        if "CLUSTER_SIZE" in str(maps) and thing["kind"] == "StatefulSet" and thing["metadata"]["name"].startswith("redis-"):
            yield from redis_node(thing, settings(spec["containers"][0], maps), spec["containers"][0])
    yield from seeds(objects, maps)


def redis_node(thing, environment, container):
    """One node of as many as there are: full, it refuses before its container is ended; back, it waits until it was missed."""
    size = environment["CLUSTER_SIZE"]
    if int(size) != thing["spec"]["replicas"]:
        yield f"{name_of(thing)} has {thing['spec']['replicas']} replicas and CLUSTER_SIZE {size}"
    scripts = K8S / "base/redis/scripts"
    lines = (line.split(maxsplit=1) for line in (scripts / "redis.conf").read_text().splitlines())
    conf = {words[0]: words[1] for words in lines if len(words) == 2}
    if conf.get("maxmemory-policy") != "noeviction":
        yield f"{name_of(thing)} evicts by {conf.get('maxmemory-policy')}, which loses hints"
    share = re.search(r"^maxmemory \$\(\(MEMORY_LIMIT \* (\d+) / (\d+)\)\)$", (scripts / "start").read_text(), re.MULTILINE)
    limit = next(each["valueFrom"]["resourceFieldRef"]["resource"] for each in container["env"] if each["name"] == "MEMORY_LIMIT")
    if not share or limit != "limits.memory" or int(share[1]) * 8 > int(share[2]) * 7:
        yield f"{name_of(thing)} has a maxmemory that leaves less than an eighth of its container's limit"
    if int(environment["START_DELAY"]) * 1000 < 2 * int(conf["cluster-node-timeout"]):
        yield f"{name_of(thing)} comes back after {environment['START_DELAY']} s, with a cluster-node-timeout of {conf['cluster-node-timeout']} ms"


def settings(container, maps):
    """A container's environment, as far as it stands in the manifests."""
    environment = {}
    for source in container.get("envFrom", []):
        environment |= maps.get(source["configMapRef"]["name"], {})
    return environment | {each["name"]: each.get("value") for each in container.get("env", [])}


def service(thing, spec, container, environment):
    """One of the three: known settings, files that are mounted, ports as set, and a grace that is long enough."""
    name = container["name"]
    known = {row["variable"]: row["default"] for row in table("settings.tsv") if row["service"] == name}
    for variable in environment.keys() - known.keys():
        yield f"{name_of(thing)} sets {variable}, which {name} does not know"
    files = mounted(spec, container)
    for variable, value in environment.items():
        if value and value.startswith("/") and value not in files:
            yield f"{name_of(thing)} sets {variable}={value}, which is not mounted; mounted are {sorted(files)}"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for port, variable in (("http-metrics", "ADMIN_ADDR"), ("http-keys", "KEYS_ADDR")):
        if variable in known:
            address = environment.get(variable) or known[variable]
            if int(address.rsplit(":", 1)[1]) != ports.get(port):
                yield f"{name_of(thing)} has port {port} at {ports.get(port)}, and {variable} is {address}"
    grace = int(re.search(r"GRACE: Duration = Duration::from_secs\((\d+)\)", (ROOT / name / "src/main.rs").read_text())[1])
    if spec["terminationGracePeriodSeconds"] <= grace:
        yield f"{name_of(thing)} is killed after {spec['terminationGracePeriodSeconds']} s and gives itself {grace} s"


def mounted(spec, container):
    """The files that secrets put into a container."""
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    files = set()
    for mount in container.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        for source in [volume, *volume.get("projected", {}).get("sources", [])]:
            secret = source.get("secret", {})
            whole = [{"path": key} for key in SECRETS.get(secret.get("secretName"), ())]
            files |= {f"{mount['mountPath']}/{item['path']}" for item in secret.get("items", whole)}
    return files


def seeds(objects, maps):
    """REDIS_A and REDIS_B name pods that there are."""
    sizes = {thing["metadata"]["name"]: thing["spec"]["replicas"] for thing in of_kind(objects, "StatefulSet")}
    for name, data in maps.items():
        for variable in ("REDIS_A", "REDIS_B"):
            for host in re.findall(r"redis://([^:,/]+)", data.get(variable, "")):
                pod, _, domain = host.partition(".")
                cluster, _, index = pod.rpartition("-")
                if cluster != domain or int(index) >= sizes.get(cluster, 0) or cluster[-1] != variable[-1].lower():
                    yield f"ConfigMap {name} has {host} in {variable}, which is no pod of that cluster"


def kafka(objects):
    """The rights of KafkaUsers are those of kafka/acls, which the tests run with."""
    lines = [line.split() for line in (K8S / "kafka/acls").read_text().splitlines() if line.strip() and line[0] != "#"]
    wanted = {(principal.removeprefix("User:"), operation, kind, name) for principal, operation, kind, name in lines}
    found = set()
    for user in of_kind(objects, "KafkaUser"):
        for acl in user["spec"]["authorization"]["acls"]:
            resource = acl["resource"]
            name = resource["name"] + ("*" if resource.get("patternType") == "prefix" else "")
            found |= {(user["metadata"]["name"], one.lower(), resource["type"], name) for one in acl["operations"]}
    for right in wanted - found:
        yield f"kafka/acls grants {right}, no KafkaUser has it"
    for right in found - wanted:
        yield f"a KafkaUser has {right}, which is not in kafka/acls"


def topics(objects):
    """Every topic of the product, at least as many partitions as consumers, and a scaler for each partner's lane."""
    source = (ROOT / "messagebus/src/topics.rs").read_text()
    wanted = {f"crawler-hints.{name}" for name in re.findall(r'self\.topic\("([a-z-]+)"\)', source)}
    partitions = {topic["spec"]["topicName"]: topic["spec"]["partitions"] for topic in of_kind(objects, "KafkaTopic")}
    if wanted != partitions.keys():
        yield f"the product has the topics {sorted(wanted)}, production {sorted(partitions)}"
    groups = set()
    for scaler in of_kind(objects, "ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            if trigger["type"] == "kafka":
                groups.add(trigger["metadata"]["consumerGroup"])
                if partitions.get(trigger["metadata"]["topic"], 0) < scaler["spec"]["maxReplicaCount"]:
                    yield f"{name_of(scaler)} makes more pods than {trigger['metadata']['topic']} has partitions"
    dispatcher = next(thing for thing in of_kind(objects, "ConfigMap") if "PARTNERS" in thing["data"])["data"]
    lanes = {f"crawler-hints-dispatcher-{partner.split('=')[0]}" for partner in dispatcher["PARTNERS"].split(",")}
    if groups != lanes | {"crawler-hints-ingestor"}:
        yield f"ScaledObjects look at {sorted(groups)}, the groups are {sorted(lanes)} and the ingestor's"
