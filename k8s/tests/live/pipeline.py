"""The demo under a Prometheus."""

import contextlib
import json
import os
import shutil
import socket
import time

from checks.files import tools

from .processes import Failure, answers, free_address, running, until
from .prometheus import Prometheus, write_settings

START_WITHIN = 120
TRAFFIC_WITHIN = 180
REST_WITHIN = 180
# The commands that a service is denied until it has counted the errors: what the dashboards' errors are fed with.
DENIED = {"flipper": "mget", "ingestor": "set"}


@contextlib.contextmanager
def watched_demo(loadtest, directory):
    """Runs the demo to its end; yields the Prometheus that watched it, and when traffic began and ended."""
    programs, targets, series = tools(), directory / "targets.json", directory / "series"
    exporter_at, prometheus_at = free_address(), free_address()
    targets.unlink(missing_ok=True)
    shutil.rmtree(series, ignore_errors=True)
    settings = write_settings(directory, targets, exporter_at)
    # As the exporter beside each Redis node logs in; users here have such passwords.
    login = {**os.environ, "REDIS_USER": "probe", "REDIS_PASSWORD": "password-of-probe"}
    with contextlib.ExitStack() as stack:
        def start(name, *command, **keywords):
            return stack.enter_context(running(directory / f"{name}.log", *command, **keywords))

        demo = start(
            "demo", loadtest, "--log-format", "text", "--rust-log", "warn,librdkafka=error", "demo", "--targets", targets)
        exporter = start("exporter", programs / "prometheus-redis-exporter", "-web.listen-address", exporter_at, env=login)
        server = start(
            "prometheus", programs / "prometheus", f"--config.file={settings}", f"--web.listen-address={prometheus_at}",
            f"--storage.tsdb.path={series}", "--log.level=warn")
        watchers = (exporter, server)
        until("starting Prometheus and the Redis exporter", START_WITHIN,
              lambda: answers(f"{prometheus_at}/-/ready") and answers(f"{exporter_at}/health"), *watchers)
        until("starting the demo", START_WITHIN, targets.exists, demo, *watchers)
        prometheus, count = Prometheus(prometheus_at), len(json.loads(targets.read_text()))
        until(f"scraping all {count} targets of {targets}", START_WITHIN,
              lambda: prometheus.instant(f"count(up == 1) == {count}", time.time()), demo, *watchers)
        began = time.time()
        for service, command in DENIED.items():
            tell_redis(targets, f"ACL SETUSER {service} -{command}")
            errors = f'sum(crawlerhints_redis_errors_total{{service="{service}"}}) > 0'
            until(f"waiting until the {service}, which may not {command}, counts errors", TRAFFIC_WITHIN,
                  lambda: prometheus.instant(errors, time.time()), demo, *watchers)
            tell_redis(targets, f"ACL SETUSER {service} +{command}")
        until("waiting for the end of the demo's traffic", TRAFFIC_WITHIN,
              lambda: "traffic has ended" in demo.said(), demo, *watchers)
        ended = time.time()
        until("waiting for the demo's books", REST_WITHIN, lambda: demo.status() is not None, *watchers)
        if demo.status() != 0:
            raise Failure(f"the demo ended with {demo.status()}; {demo.last()}")
        yield prometheus, began, ended


def tell_redis(targets, *commands):
    """Gives commands to every Redis node, as the user who may do everything."""
    lines = ["AUTH operator password-of-operator", *commands, "QUIT"]
    for target in json.loads(targets.read_text()):
        if target["labels"]["service"] == "redis":
            host, port = target["targets"][0].split(":")
            with socket.create_connection((host, int(port)), timeout=10) as node:
                node.sendall("".join(f"{line}\r\n" for line in lines).encode())
                said = node.makefile().read().split()
            if said != ["+OK"] * len(lines):
                raise Failure(f"{commands} at the Redis node {host}:{port}: it says {said}")
