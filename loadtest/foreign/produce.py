"""Cache misses and zones made by another implementation of Cap'n Proto: pycapnp, from the schema files alone.

Usage: produce.py COUNT [RATE]; PRODUCE says what, zones or records, KAFKA_BROKERS and TOPIC_PREFIX say where to. Half
of the records repeat an earlier URL, over 500 hosts in 100 zones. Needs pycapnp and confluent-kafka
(requirements.txt).
"""

import os
import pathlib
import random
import sys
import time

import capnp
from confluent_kafka import Producer

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "capnp" / "schema"
HOSTS, ZONE_HOSTS = 500, 5


def host(number: int) -> str:
    return f"shop-{number}.example.org"


class Sender:
    """What is to get into Kafka, and what did not."""

    def __init__(self) -> None:
        self.prefix = os.environ["TOPIC_PREFIX"]
        self.failures: list[str] = []
        self.producer = Producer({
            "bootstrap.servers": os.environ["KAFKA_BROKERS"],
            "enable.idempotence": True,
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
        })

    def send(self, topic: str, key: str, value: bytes) -> None:
        while True:
            try:
                self.producer.produce(self.prefix + topic, key=key, value=value, on_delivery=self.report)
                return
            except BufferError:
                self.producer.poll(0.1)

    def report(self, error: object, _message: object) -> None:
        if error is not None:
            self.failures.append(str(error))

    def finish(self) -> None:
        self.producer.flush()
        if self.failures:
            sys.exit(f"{len(self.failures)} records were not delivered, the first: {self.failures[0]}")


def send_zones(sender: Sender) -> None:
    zone_type = capnp.load(str(SCHEMAS / "zone.capnp")).Zone
    for first in range(0, HOSTS, ZONE_HOSTS):
        zone = zone_type.new_message(id=first // ZONE_HOSTS + 1, enabled=True)
        entries = zone.init("hosts", ZONE_HOSTS)
        for offset in range(ZONE_HOSTS):
            entries[offset].name = host(first + offset)
        sender.send("zones", str(zone.id), zone.to_bytes())
    sender.finish()
    print(f"{HOSTS // ZONE_HOSTS} zones", file=sys.stderr)


def send_records(sender: Sender, count: int, rate: int) -> None:
    cache_miss = capnp.load(str(SCHEMAS / "cache_miss.capnp")).CacheMiss
    randomness = random.Random(7)
    urls: list[tuple[int, str]] = []
    started = time.monotonic()
    for number in range(count):
        if urls and randomness.random() < 0.5:
            owner, url = randomness.choice(urls)
        else:
            owner = min(int(randomness.paretovariate(0.6)) - 1, HOSTS - 1)
            url = f"https://{host(owner)}/item/{number}?lang=en"
            urls.append((owner, url))
        record = cache_miss.new_message(
            schemaVersion=1,
            timestampMs=int(time.time() * 1000),
            url=url,
            zoneId=owner // ZONE_HOSTS + 1,
            cacheStatus="miss",
            originStatus=200,
        )
        sender.send("cache-misses", host(owner), record.to_bytes())
        if number % 200 == 0:
            sender.producer.poll(0)
            if rate:
                ahead = number / rate - (time.monotonic() - started)
                if ahead > 0:
                    time.sleep(ahead)
    sender.finish()
    print(f"{count} records, {len(urls)} different URLs", file=sys.stderr)


def main() -> None:
    count = int(sys.argv[1])
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    match os.environ["PRODUCE"]:
        case "zones":
            send_zones(Sender())
        case "records":
            send_records(Sender(), count, rate)
        case other:
            sys.exit(f"PRODUCE={other}: expected zones or records")


main()
