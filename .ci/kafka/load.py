"""Has a Kafka broker load what brooklet wrote, and its client read every record; and leaves what Kafka made of it.

    load.py LIBS STORE RETURNED

STORE is what tests/kafka_store.rs leaves: `closed`, `killed` and `manifest`. The broker gets the store three times:

- closed, with its marker and checkpoints;
- closed, without either, so that it reads every log from its beginning;
- as a `kill -9` leaves it, with the space that is reserved at the ends of logs.

Each time the broker must not say a word that is a warning or an error, and its client must get what the manifest says:
the records, the groups, and what these have committed. Then it appends to every partition, and its consumers subscribe in
each group and must go on from what is committed (Groups.java). It ends by a shutdown, or (the last time) by a `kill -9`.
What it leaves is for tests/golden.rs to open; each directory in RETURNED has `data`, `records.jsonl` and `summary.json`:

- `clean` and `killed`: put back in brooklet's place, with its metadata file and the ids of its topics;
- `adopted`: as Kafka's own.

A commit names the id of its topic, and one of another topic counts for nothing: in the first two, what brooklet has
committed is left, and in the last, what Kafka has.
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
# Where groups began, and what Kafka's commits are noted with: see Groups.java.
BEGUN = "begun.json"
BY_KAFKA = "by Kafka: "

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
    for what in ("group_states", "groups"):
        a, b = wanted_summary[what], found_summary[what]
        yield from (f"{what}: brooklet has {one}, which Kafka has not" for one in a if one not in b)
        yield from (f"{what}: Kafka has {one}, which brooklet has not" for one in b if one not in a)


def commits(summary):
    return {(one["group"], one["topic"], one["partition"]): one["offset"] for one in summary["groups"]}


def wrong_beginnings(manifest, begun):
    """Where a group did not go on from what it has committed."""
    for of, offset in commits(read_summary(manifest)).items():
        if offset != begun.get(of):
            yield f"{of}: brooklet has committed {offset}, Kafka's consumer began at {begun.get(of)}"


def read_begun(directory):
    with open(os.path.join(directory, BEGUN)) as file:
        return commits({"groups": json.load(file)})


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
    prove_that_groups_are_compared(manifest, scratch)


def another(key, value):
    return lambda summary: summary["groups"][-1].update({key: value})


def prove_that_groups_are_compared(manifest, scratch):
    changes = [another("offset", -1), another("leader_epoch", 7), another("metadata", "?")]
    changes += [lambda summary: summary["groups"].pop(), lambda summary: summary["group_states"].pop()]
    changes += [lambda summary: summary["group_states"][0].update(state="Stable")]
    for number, change in enumerate(changes):
        changed = os.path.join(scratch, f"changed-groups-{number}")
        shutil.copytree(manifest, changed)
        change_summary(changed, change)
        if not (list(differences(manifest, changed)) and list(differences(changed, manifest))):
            sys.exit(f"nobody sees change {number} of groups")
    begun = commits(read_summary(manifest))
    if not begun or list(wrong_beginnings(manifest, begun)):
        sys.exit("no group has committed anything, or one cannot go on")
    for of, offset in begun.items():
        if len(list(wrong_beginnings(manifest, begun | {of: offset + 1}))) != 1:
            sys.exit(f"nobody sees that {of} begins elsewhere")


def topic_ids(summary):
    return {one["topic"]: one["topic_id"] for one in summary["topics"]}


def change_summary(directory, change):
    summary = read_summary(directory)
    change(summary)
    with open(os.path.join(directory, "summary.json"), "w") as file:
        json.dump(summary, file)


def keep_commits(directory, by_kafka):
    """Leaves of what was committed what Kafka has committed, or the rest."""
    is_kept = lambda one: one["metadata"].startswith(BY_KAFKA) == by_kafka
    kept = [one for one in read_summary(directory)["groups"] if is_kept(one)]
    if not kept:
        sys.exit(f"{directory}: nothing that counts is committed")
    change_summary(directory, lambda summary: summary.update(groups=kept))


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
        started = time.monotonic()
        swap_in(self.broker, os.path.join(self.store, store), self.ids, *left_out)
        self.broker.start()
        read, appended = (os.path.join(self.scratch, f"{what}-{when}") for when in ("read", "appended"))
        self.client("use", self.summary, read, appended)
        wrong, reserved = complaints(self.broker.lines())
        wrong += differences(self.manifest, read)
        begun = read_begun(read)
        wrong += wrong_beginnings(self.manifest, begun)
        if wrong:
            sys.exit("\n".join([f"{what}: Kafka does not agree", *wrong[:20], f"{len(wrong)} in all"]))
        # Also shows that what the broker says is found.
        if bool(reserved) != (store == "killed"):
            sys.exit(f"{what}: Kafka cut the ends of {len(reserved)} logs: {reserved[:3]}")
        count = sum(map(len, read_lines(read).values()))
        groups = len(read_summary(read)["group_states"])
        print(
            f"{what}: loaded, {count} records read, {groups} groups went on in {len(begun)} partitions,"
            f" in {time.monotonic() - started:.0f} s",
            flush=True,
        )
        return appended

    def give_back(self, read, into):
        """Puts what Kafka left in brooklet's place. What Kafka has committed is of topics with other ids."""
        shutil.copytree(read, into)
        data = os.path.join(into, "data")
        shutil.copytree(self.broker.data, data)
        shutil.copy(os.path.join(self.store, "closed", PROPERTIES), data)
        ids = topic_ids(read_summary(self.manifest))
        set_ids(data, ids)
        name_topics = lambda summary: [one.update(topic_id=ids[one["topic"]]) for one in summary["topics"]]
        change_summary(into, name_topics)
        keep_commits(into, by_kafka=False)

    def leave(self, read, into):
        """The same, for one who knows nothing of brooklet. What brooklet has committed is of topics with other ids."""
        shutil.copytree(read, into)
        shutil.copytree(self.broker.data, os.path.join(into, "data"), ignore=shutil.ignore_patterns(METADATA))
        keep_commits(into, by_kafka=True)


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
