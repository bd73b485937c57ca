"""Makes directories for tests/golden.rs: what a real Kafka writes of records of all kinds, and what its client reads.

    golden.py LIBS INTO SEED...

For each seed INTO gets `killed-SEED`, copied after a `kill -9`, and `clean-SEED`, copied after one more start, some more
records and a controlled shutdown. An odd seed's broker was killed once before. A minute each.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

from broker import Broker, compile_clients, end_with_signals, java

# What Kafka keeps for itself.
OWN = ("__transaction_state-*", "__share_group_state-*", ".lock")
# Everything that happens now and then happens soon.
HURRY = {
    "log.initial.task.delay.ms": 100,
    "log.retention.check.interval.ms": 500,
    "log.cleaner.backoff.ms": 200,
    "log.flush.offset.checkpoint.interval.ms": 500,
    "log.flush.start.offset.checkpoint.interval.ms": 500,
    "offsets.topic.num.partitions": 2,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
}
CLEANED = "cleaner-offset-checkpoint"
QUIET_SECONDS = 3
SETTLES_WITHIN = 40


def content(broker):
    """The names and sizes of all logs, and how far they are cleaned."""
    path = os.path.join(broker.data, CLEANED)
    cleaned = open(path).read() if os.path.exists(path) else ""
    sizes = {}
    for directory, _, files in os.walk(broker.data):
        for name in (name for name in files if name.endswith(".log")):
            try:
                sizes[os.path.join(directory, name)] = os.path.getsize(os.path.join(directory, name))
            except FileNotFoundError:
                pass
    return cleaned, sizes


def settle(broker):
    """Waits until retention and cleaning have nothing to do any more."""
    before, since = None, time.monotonic()
    deadline = since + SETTLES_WITHIN
    while time.monotonic() < min(since + QUIET_SECONDS, deadline):
        now = content(broker)
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.2)


class Maker:
    def __init__(self, broker, libs, classes, seed):
        self.broker, self.libs, self.classes, self.seed = broker, libs, classes, seed

    def client(self, name, *arguments):
        subprocess.run(java(self.libs, name, self.broker.address, *arguments, classes=self.classes), check=True)

    def round(self, number):
        self.broker.start()
        self.client("Golden", self.seed, str(number))
        settle(self.broker)

    def keep(self, into, end):
        """Writes down what there is, ends the broker, and copies the directory."""
        self.client("Manifest", into)
        end()
        shutil.copytree(self.broker.data, os.path.join(into, "data"), ignore=shutil.ignore_patterns(*OWN))


def main():
    libs, into, *seeds = sys.argv[1:]
    end_with_signals()
    with tempfile.TemporaryDirectory() as scratch:
        classes = os.path.join(scratch, "classes")
        compile_clients(libs, classes)
        for seed in seeds:
            # Of a version that has them as a preview, or not yet.
            settings = {**HURRY, "group.coordinator.rebalance.protocols": "classic,consumer"}
            if "/3." not in libs:
                settings.pop("group.coordinator.rebalance.protocols")
            with Broker(libs, os.path.join(scratch, seed), settings) as broker:
                maker = Maker(broker, libs, classes, seed)
                maker.round(0)
                broker.kill() if int(seed) % 2 else broker.stop()
                maker.round(1)
                maker.keep(os.path.join(into, f"killed-{seed}"), broker.kill)
                maker.round(2)
                maker.keep(os.path.join(into, f"clean-{seed}"), broker.stop)
            print(f"seed {seed}: made", flush=True)


if __name__ == "__main__":
    main()
