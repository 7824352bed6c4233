"""Cache misses and zones made by another implementation of Cap'n Proto: pycapnp, from the schema files alone.

Usage: produce.py COUNT [RATE]; KAFKA_BROKERS and TOPIC_PREFIX say where to. Half of the records repeat an earlier
URL, over 500 hosts in 100 zones. Needs pycapnp and confluent-kafka (requirements.txt).
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


def main() -> None:
    count = int(sys.argv[1])
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    prefix = os.environ["TOPIC_PREFIX"]
    cache_miss = capnp.load(str(SCHEMAS / "cache_miss.capnp")).CacheMiss
    zone_type = capnp.load(str(SCHEMAS / "zone.capnp")).Zone
    producer = Producer({
        "bootstrap.servers": os.environ["KAFKA_BROKERS"],
        "enable.idempotence": True,
        "linger.ms": 20,
        "queue.buffering.max.messages": 1_000_000,
    })
    failures: list[str] = []

    def report(error: object, _message: object) -> None:
        if error is not None:
            failures.append(str(error))

    def send(topic: str, key: str, value: bytes) -> None:
        while True:
            try:
                producer.produce(prefix + topic, key=key, value=value, on_delivery=report)
                return
            except BufferError:
                producer.poll(0.1)

    for first in range(0, HOSTS, ZONE_HOSTS):
        zone = zone_type.new_message(id=first // ZONE_HOSTS + 1, enabled=True)
        entries = zone.init("hosts", ZONE_HOSTS)
        for offset in range(ZONE_HOSTS):
            entries[offset].name = host(first + offset)
        send("zones", str(zone.id), zone.to_bytes())
    producer.flush()

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
        send("cache-misses", host(owner), record.to_bytes())
        if number % 200 == 0:
            producer.poll(0)
            if rate:
                ahead = number / rate - (time.monotonic() - started)
                if ahead > 0:
                    time.sleep(ahead)
    producer.flush()
    if failures:
        sys.exit(f"{len(failures)} records were not delivered, the first: {failures[0]}")
    print(f"{count} records, {len(urls)} different URLs", file=sys.stderr)


main()
