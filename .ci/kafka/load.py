"""Has a Kafka broker load what brooklet wrote, and its client read every record; and leaves what Kafka made of it.

    load.py LIBS STORE RETURNED

STORE is what tests/kafka_store.rs leaves: `closed`, `killed` and `manifest`. The broker gets the store three times:

- closed, with its marker and checkpoints;
- closed, without either, so that it reads every log from its beginning;
- as a `kill -9` leaves it, with the space that is reserved at the ends of logs.

Each time the broker must not say a word that is a warning or an error, and its client must get what the manifest says.
Then it appends to every partition, and ends: by a shutdown, or (the last time) by a `kill -9`. What it leaves is for
tests/golden.rs to open; each directory in RETURNED has `data`, `records.jsonl` and `summary.json`:

- `clean` and `killed`: put back in brooklet's place, with its metadata file and the ids of its topics;
- `adopted`: as Kafka's own.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from broker import Broker, compile_clients, end_with_signals, java

MARKER = ".kafka_cleanshutdown"
RECOVERY_POINTS = "recovery-point-offset-checkpoint"
PROPERTIES = "meta.properties"
METADATA = "brooklet.metadata"
PARTITION_METADATA = "partition.metadata"

# Where an event begins; the lines up to the next are its stack trace.
EVENT = re.compile(r"^\[")
COMPLAINT = re.compile(r"\b(WARN|ERROR|FATAL)\b|Exception")
# Every start says that.
EXPECTED = re.compile(r"WARN \S*QuorumController .* Performing controller activation")
# What Kafka's own controller says, which has no part in logs: on a slow machine it gives up its role and takes it up
# again.
CONTROLLER = re.compile(
    r"QuorumController|ControllerServer|ControllerApis|RaftManager|KafkaRaftClient|BrokerLifecycleManager|NodeToController"
)
# Of the zeros that are reserved at the end of an active log, and cut.
RESERVED = re.compile(
    r"WARN \S*(LogSegment - Found invalid messages|LogLoader .* Corruption found) in (log )?segment|"
    r"CorruptRecordException: Found record size 0 smaller than"
)


def is_partition(name):
    return re.search(r"-\d+$", name) is not None


def read_lines(directory):
    with open(os.path.join(directory, "records.jsonl")) as file:
        lines = [json.loads(line) for line in file]
    key = lambda line: (line["topic"], line["partition"])
    return {of: list(some) for of, some in itertools.groupby(lines, key)}


def read_summary(directory):
    with open(os.path.join(directory, "summary.json")) as file:
        return json.load(file)


def by_partition(summary):
    """Without the ids, which are another's with every Kafka."""
    of = lambda one: {key: value for key, value in one.items() if key != "topic_id"}
    return {(one["topic"], one["partition"]): of(one) for one in summary["topics"]}


def differences(wanted, found):
    """What two manifests differ in."""
    wanted_lines, found_lines = read_lines(wanted), read_lines(found)
    for of in sorted(wanted_lines.keys() | found_lines.keys()):
        a, b = wanted_lines.get(of, []), found_lines.get(of, [])
        if len(a) != len(b):
            yield f"{of}: brooklet has {len(a)} records, Kafka read {len(b)}"
        yield from (f"{of}: brooklet has {x}, Kafka read {y}" for x, y in zip(a, b) if x != y)
    wanted_summary, found_summary = read_summary(wanted), read_summary(found)
    a, b = by_partition(wanted_summary), by_partition(found_summary)
    yield from (f"brooklet says {a[of]}, Kafka {b.get(of)}" for of in a if a[of] != b.get(of))
    a, b = wanted_summary["groups"], found_summary["groups"]
    yield from (f"brooklet has committed {one}, which Kafka has not" for one in a if one not in b)
    yield from (f"Kafka has committed {one}, which brooklet has not" for one in b if one not in a)


def prove_that_it_fails(manifest, scratch):
    """Each changed line must be seen: a comparison that cannot fail is none."""
    if list(differences(manifest, manifest)):
        sys.exit("a manifest differs from itself")
    changes = [("key", '"key":"', '"key":"AA'), ("header", '"headers":[[', '"headers":[["a",null],[')]
    changes += [("timestamp", '"timestamp":1', '"timestamp":2'), ("offset", '"offset":2', '"offset":3')]
    for what, old, new in changes:
        changed = os.path.join(scratch, f"changed-{what}")
        shutil.copytree(manifest, changed)
        path = os.path.join(changed, "records.jsonl")
        with open(path) as file:
            text = file.read()
        middle = text.index(old, len(text) // 2)
        with open(path, "w") as file:
            file.write(text[:middle] + text[middle:].replace(old, new, 1))
        if not list(differences(manifest, changed)):
            sys.exit(f"nobody sees another {what}")


def topic_ids(summary):
    return {one["topic"]: one["topic_id"] for one in summary["topics"]}


def change_summary(directory, change):
    summary = read_summary(directory)
    change(summary)
    with open(os.path.join(directory, "summary.json"), "w") as file:
        json.dump(summary, file)


def set_ids(data, ids):
    """Gives each partition's directory the id that its topic has with this broker."""
    for name in filter(is_partition, os.listdir(data)):
        topic = name.rpartition("-")[0]
        with open(os.path.join(data, name, PARTITION_METADATA), "w") as file:
            file.write(f"version: 0\ntopic_id: {ids[topic]}")


def swap_in(broker, store, ids, *left_out):
    """Puts a store where the broker's own logs were. Of `__consumer_offsets` the broker keeps what brooklet lacks."""
    properties = os.path.join(broker.data, PROPERTIES)
    kept = os.path.join(broker.home, PROPERTIES)
    shutil.copy(properties, kept)
    shutil.rmtree(broker.data)
    ignore = shutil.ignore_patterns(".lock", PROPERTIES, *left_out)
    shutil.copytree(store, broker.data, ignore=ignore)
    shutil.move(kept, properties)
    set_ids(broker.data, ids)


def events(lines):
    """What was logged: each event's first line with those of its stack trace."""
    found = []
    for line in lines:
        if EVENT.match(line) or not found:
            found.append([])
        found[-1].append(line)
    return ["\n".join(event) for event in found]


def complaints(lines):
    """What the broker has said of the logs that it loaded, and of ends that were only reserved."""
    found = [event for event in events(lines) if COMPLAINT.search(event)]
    # Who says it stands in the first line; a trace may name anybody.
    found = [event for event in found if not (EXPECTED.search(event) or CONTROLLER.search(event.split("\n")[0]))]
    return [event for event in found if not RESERVED.search(event)], [event for event in found if RESERVED.search(event)]


def prove_that_complaints_are_found():
    """What is let through is the controller's alone, with its stack trace."""
    controller = "[quorum-controller-1-event-handler] WARN org.apache.kafka.controller.QuorumController - renouncing"
    trace = ["java.util.concurrent.CompletionException: NotControllerException", "\tat java.base/java.util", "Caused by: x.SomeException"]
    log = "[main] ERROR org.apache.kafka.storage.internals.log.UnifiedLog - cannot read"
    if complaints([controller, *trace]) != ([], []) or complaints([controller, *trace, log, trace[0]]) != ([f"{log}\n{trace[0]}"], []):
        sys.exit("the broker's complaints are not told from its controller's")


class Loads:
    def __init__(self, broker, libs, classes, store, scratch):
        self.broker, self.libs, self.classes = broker, libs, classes
        self.store, self.scratch = store, scratch
        self.manifest = os.path.join(store, "manifest")
        self.summary = os.path.join(self.manifest, "summary.json")
        self.ids = None

    def client(self, *arguments):
        subprocess.run(java(self.libs, "Topics", self.broker.address, *arguments, classes=self.classes), check=True)

    def make_topics(self):
        self.broker.start()
        made = os.path.join(self.scratch, "made")
        self.client("create", self.summary, made)
        self.ids = topic_ids(read_summary(made))
        self.broker.stop()

    def load(self, what, store, *left_out):
        """Gives the manifest of what there is then, when something was appended."""
        begun = time.monotonic()
        swap_in(self.broker, os.path.join(self.store, store), self.ids, *left_out)
        self.broker.start()
        read, appended = (os.path.join(self.scratch, f"{what}-{when}") for when in ("read", "appended"))
        self.client("use", self.summary, read, appended)
        wrong, reserved = complaints(self.broker.lines())
        wrong += differences(self.manifest, read)
        if wrong:
            sys.exit("\n".join([f"{what}: Kafka does not agree", *wrong[:20], f"{len(wrong)} in all"]))
        # Also shows that what the broker says is found.
        if bool(reserved) != (store == "killed"):
            sys.exit(f"{what}: Kafka cut the ends of {len(reserved)} logs: {reserved[:3]}")
        count = sum(map(len, read_lines(read).values()))
        print(f"{what}: loaded, {count} records read, in {time.monotonic() - begun:.0f} s", flush=True)
        return appended

    def give_back(self, read, into):
        """Puts what Kafka left in brooklet's place."""
        shutil.copytree(read, into)
        data = os.path.join(into, "data")
        shutil.copytree(self.broker.data, data)
        shutil.copy(os.path.join(self.store, "closed", PROPERTIES), data)
        ids = topic_ids(read_summary(self.manifest))
        set_ids(data, ids)
        name_topics = lambda summary: [one.update(topic_id=ids[one["topic"]]) for one in summary["topics"]]
        change_summary(into, name_topics)

    def leave(self, read, into):
        """The same, for one who knows nothing of brooklet. What was committed is of topics with other ids."""
        shutil.copytree(read, into)
        shutil.copytree(self.broker.data, os.path.join(into, "data"), ignore=shutil.ignore_patterns(METADATA))
        change_summary(into, lambda summary: summary.update(groups=[]))


def main():
    libs, store, returned = sys.argv[1:]
    end_with_signals()
    with tempfile.TemporaryDirectory() as scratch:
        classes = os.path.join(scratch, "classes")
        compile_clients(libs, classes)
        prove_that_complaints_are_found()
        prove_that_it_fails(os.path.join(store, "manifest"), scratch)
        with Broker(libs, os.path.join(scratch, "kafka")) as broker:
            loads = Loads(broker, libs, classes, store, scratch)
            loads.make_topics()
            appended = loads.load("closed", "closed")
            broker.stop()
            loads.give_back(appended, os.path.join(returned, "clean"))
            loads.leave(appended, os.path.join(returned, "adopted"))
            loads.load("unmarked", "closed", MARKER, RECOVERY_POINTS)
            broker.stop()
            appended = loads.load("killed", "killed")
            broker.kill()
            loads.give_back(appended, os.path.join(returned, "killed"))
    print("Kafka has loaded it")


if __name__ == "__main__":
    main()
