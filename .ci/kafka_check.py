"""Runs Apache Kafka's DumpLogSegments over every file of a closed store, and fails on any complaint.

    kafka_check.py LIBS STORE [--groups SUMMARY] [TOPIC=RECORDS]...

LIBS holds Kafka's jars; STORE is a log directory; TOPIC=RECORDS says how many records a topic's logs must hold. SUMMARY is
a manifest's `summary.json`: what the tool decodes of `__consumer_offsets` must come to the same groups and commits.
Afterwards it damages copies of the store, and requires a complaint about each: a check that cannot fail is none.

The tool exits with 0 whatever it finds, so its output is read, line by line. It ends with an exception (and looks at
no further file) where it cannot go on. What it says nothing about, and is therefore looked at here (all seen with
4.3.1):
- it stops at the first entry of an index, not being its first, that has relative offset 0, so a zero tail passes;
- it rounds the length of an index down to whole entries;
- it says of an `.index` of 0 bytes that it is empty, of a `.timeindex` of 0 bytes nothing, and takes either for a
  segment that has records; it misses no entry, the last time entry included. Kafka writes that one at roll and at
  close: (largest timestamp, last offset of the first batch that has it);
- it looks at one file at a time, so a segment that is missing between two others passes;
- it checks no leader epoch (bytes 12-15 of a batch, which the CRC leaves out).
What it does need: the `.log` and the `.index` beside a `.timeindex`, the `.log` beside an `.index`.

It complains that "-1 is followed by N" of every segment that begins at another offset N than 0: that is no gap, and is
passed over where N is the segment's name. Real gaps are complained about, but for those that compaction leaves: in
`__consumer_offsets`, and in topics whose names begin with "compacted".

A record of `__consumer_offsets` that it cannot decode it skips: it says so where the key would be, and nowhere else.
"""

import argparse
import copy
import itertools
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

BATCH = re.compile(
    r"baseOffset: (?P<base>\d+) lastOffset: (?P<last>\d+) count: (?P<count>\d+) .* position: (?P<position>\d+)"
    r" (?P<time_type>\w+): (?P<timestamp>-?\d+) size: (?P<size>\d+) magic: (?P<magic>\d+) .* isvalid: (?P<valid>\w+)$"
)
# What the decoder prints of a record of `__consumer_offsets`.
DECODED = re.compile(r"\| offset: \d+ .* headerKeys: \[\] key: (?P<key>\{.*?\}\}) payload: (?P<value>.*)$")
TOMBSTONE = "<DELETE>"
QUIET = re.compile(r"(Log starting offset: \d+|.* is empty\.|)$")
COMPLAINT = re.compile(
    r"(Found \d+ invalid bytes|Mismatches in|Found timestamp mismatch|Found out of order timestamp|"
    r"The following indexed offsets are not found)"
)
# Of the tool's errors: an offset, and the one behind it.
GAP = re.compile(r"  (-?\d+) is followed by (\d+)$")
OFFSETS = "__consumer_offsets"
DEEP = ("--deep-iteration", "--print-data-log")
# Of one run of the tool; together they stay far below the 128 KiB that one argument may have.
FILES_PER_RUN = 200
# Kafka adds an index entry every index.interval.bytes, and may begin to count anew when it opens a segment.
LONGEST_STRETCH = 2 * 4096

@dataclass
class Dump:
    """What the tool said."""

    complaints: list = field(default_factory=list)
    # By file: the batches as dicts of numbers; no batches for indexes.
    batches: dict = field(default_factory=dict)
    records: dict = field(default_factory=dict)
    # Of `__consumer_offsets`, as they are printed.
    lines: dict = field(default_factory=dict)


def dump(libs, files, *options):
    """Runs the tool over files, and reads what it says."""
    result = Dump()
    for start in range(0, len(files), FILES_PER_RUN):
        some = files[start : start + FILES_PER_RUN]
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"
        tool = ["java", quiet, "-cp", f"{libs}/*", "org.apache.kafka.tools.DumpLogSegments", "--files", ",".join(some)]
        run = subprocess.run([*tool, *options], capture_output=True)
        read_output(run.stdout.decode(errors="replace"), result)
        result.complaints += read_errors(run.stderr.decode(errors="replace"))
        if run.returncode != 0:
            result.complaints.append(f"exit status {run.returncode}")
    result.complaints += [f"{file}: the tool did not look at it" for file in files if file not in result.batches]
    return result


def may_have_gaps(log):
    return topic_of(log).startswith(("compacted", OFFSETS))


def read_errors(errors):
    """Exceptions, and what the tool sums up at its end."""
    base, gaps = None, False
    for line in errors.splitlines():
        if line.startswith("Non-consecutive offsets in "):
            base, gaps = os.path.basename(line).removesuffix(".log"), may_have_gaps(line)
        elif gaps and (gap := GAP.match(line)) and int(gap[1]) < int(gap[2]):
            continue
        elif not line.startswith(("SLF4J", "\tat ")) and line != f"  -1 is followed by {int(base or 0)}":
            yield f"{base}.log: {line}" if " is followed by " in line else line


def read_output(output, result):
    file, in_record = None, False
    # Not splitlines: a record's value may hold other separators of lines.
    for line in output.split("\n"):
        batch = BATCH.match(line)
        if line.startswith("Dumping "):
            file, in_record = line.removeprefix("Dumping "), False
            result.batches[file], result.records[file], result.lines[file] = [], 0, []
        elif COMPLAINT.match(line):
            result.complaints.append(line)
        elif batch:
            in_record = False
            if batch["valid"] != "true" or batch["magic"] != "2":
                result.complaints.append(f"{file}: {line}")
            numbers = ("base", "last", "count", "position", "timestamp", "size")
            result.batches[file].append({name: int(batch[name]) for name in numbers})
        elif line.startswith("| "):
            in_record = True
            result.records[file] += 1
            if topic_of(file) == OFFSETS:
                result.lines[file].append(line)
        elif not in_record and not QUIET.match(line):
            # In a record it is the rest of a value that has line breaks.
            result.complaints.append(f"{file}: not understood: {line}")


def check_log(file, batches, records):
    """What must be so in one log."""
    size = os.path.getsize(file)
    end = batches[-1]["position"] + batches[-1]["size"] if batches else 0
    if end != size:
        yield f"{file}: the tool saw {end} of {size} bytes"
    count = sum(batch["count"] for batch in batches)
    if count != records:
        yield f"{file}: {count} records by the batches' headers, {records} were printed"


def check_continuity(logs, batches):
    """Each segment is named by its first offset, and begins where the one before it ends."""
    end = None
    for log in sorted(logs):
        base = int(os.path.basename(log).removesuffix(".log"))
        begins = batches[log][0]["base"] if batches[log] else base
        in_order = begins >= base >= (end or 0) if may_have_gaps(log) else begins == base and end in (None, base)
        if not in_order:
            yield f"{log} begins with offset {begins}; the segment before it ends at {end}"
        end = batches[log][-1]["last"] + 1 if batches[log] else base


def entries(file, layout):
    with open(file, "rb") as opened:
        content = opened.read()
    whole = len(content) // struct.calcsize(layout) * struct.calcsize(layout)
    return list(struct.iter_unpack(layout, content[:whole])), len(content) - whole


def check_index(file, batches):
    found, rest = entries(file, ">ii")
    if rest or not all(a < b for a, b in itertools.pairwise(found)) or (0, 0) in found:
        yield f"{file}: a zero tail, a part of an entry, or entries that do not rise"
    if batches:
        marks = [0, *(position for _, position in found), batches[-1]["position"]]
        longest = max(b - a for a, b in itertools.pairwise(marks))
        if longest > LONGEST_STRETCH + max(batch["size"] for batch in batches):
            yield f"{file}: no entry for {longest} bytes of log"


def check_time_index(file, base, batches):
    found, rest = entries(file, ">qi")
    if rest or not all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(found)):
        yield f"{file}: a zero tail, a part of an entry, or entries that do not rise"
    if batches:
        latest = max(batches, key=lambda batch: batch["timestamp"])
        expected = (latest["timestamp"], latest["last"] - base)
        if not found or found[-1] != expected:
            yield f"{file}: the last entry is {found[-1:]}, not {expected}"


def find(store, suffix):
    paths = (os.path.join(directory, file) for directory, _, files in os.walk(store) for file in files)
    return sorted(path for path in paths if path.endswith(suffix))


def topic_of(log):
    return os.path.basename(os.path.dirname(log)).rpartition("-")[0]


@dataclass
class Verdict:
    complaints: list
    batches: int
    # By topic.
    records: dict
    groups: dict


def state_of(group):
    """What a group's record says; it has none of what was only committed from outside."""
    return "Stable" if group and group["members"] else "Empty"


def groups_of(lines, complaints):
    """What the records of `__consumer_offsets` come to, as a manifest has it."""
    commits, groups = {}, {}
    for line in lines:
        record = DECODED.match(line)
        if record is None:
            complaints.append(f"not decoded: {line}")
            continue
        key = json.loads(record["key"])
        there, of = (groups, key["data"]["group"]) if key["type"] == "2" else (commits, tuple(key["data"].values()))
        there.pop(of, None)
        if key["type"] not in ("1", "2"):
            complaints.append(f"another kind of record: {line}")
        elif record["value"] != TOMBSTONE:
            there[of] = json.loads(record["value"])["data"]
    names = ("group", "topic", "partition")
    told = lambda value: {"offset": value["offset"], "leader_epoch": value["leaderEpoch"], "metadata": value["metadata"]}
    ids = sorted({*groups, *(group for group, _, _ in commits)})
    return {
        "groups": [dict(zip(names, of)) | told(value) for of, value in commits.items()],
        "group_states": [{"group": group, "state": state_of(groups.get(group))} for group in ids],
    }


def group_differences(wanted, found):
    for what in ("groups", "group_states"):
        yield from (f"{what}: brooklet has {one}, which is not in the log" for one in wanted[what] if one not in found[what])
        yield from (f"{what}: in the log is {one}, which brooklet has not" for one in found[what] if one not in wanted[what])


def check(libs, store):
    logs = find(store, ".log")
    offsets = [log for log in logs if topic_of(log) == OFFSETS]
    others = [log for log in logs if log not in offsets]
    dumps = [dump(libs, others, *DEEP), dump(libs, offsets, *DEEP, "--offsets-decoder")]
    batches = dumps[0].batches | dumps[1].batches
    printed = dumps[0].records | dumps[1].records
    indexes = find(store, ".index") + find(store, ".timeindex")
    dumps.append(dump(libs, indexes, "--verify-index-only"))
    dumps.append(dump(libs, find(store, ".snapshot") + find(store, ".txnindex")))
    # Of snapshots and transaction indexes the tool prints the content; only its errors are of interest.
    dumps[3].complaints = [line for line in dumps[3].complaints if "not understood" not in line]
    complaints = [line for each in dumps for line in each.complaints]
    # Logs that the tool did not look at are complained about already.
    batches = {log: batches.get(log, []) for log in logs}
    records = {}
    for log in logs:
        base = log.removesuffix(".log")
        complaints += check_log(log, batches[log], printed.get(log, 0))
        complaints += check_index(f"{base}.index", batches[log])
        complaints += check_time_index(f"{base}.timeindex", int(os.path.basename(base)), batches[log])
        records[topic_of(log)] = records.get(topic_of(log), 0) + printed.get(log, 0)
    for _, of_partition in itertools.groupby(logs, os.path.dirname):
        complaints += check_continuity(of_partition, batches)
    # Sorted, so that the segments of a partition follow each other.
    groups = groups_of([line for log in offsets for line in dumps[1].lines.get(log, [])], complaints)
    return Verdict(complaints, sum(map(len, batches.values())), records, groups)


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 0x01]) + content[at + 1 :]


def flipped_batch(log):
    """One byte in the records of the middle batch, where the CRC covers it."""
    starts, at = [], 0
    while at < len(log):
        starts.append(at)
        at += 12 + struct.unpack_from(">i", log, at + 8)[0]
    start, end = [*starts, at][len(starts) // 2 :][:2]
    return flipped(log, (start + 61 + end) // 2)


# What is done to a file of the largest segment of a copy of its partition, and whether the tool itself must see it, or what is looked at here
# besides.
DAMAGES = [
    ("a flipped byte", ".log", flipped_batch, True),
    ("a flipped byte in an offset", ".index", lambda index: flipped(index, 3), True),
    ("a flipped byte in a timestamp", ".timeindex", lambda index: flipped(index, 7), True),
    ("a zero tail", ".index", lambda index: index + bytes(8), False),
    ("no entry", ".index", lambda index: b"", False),
    ("a zero tail", ".timeindex", lambda index: index + bytes(12), False),
    ("no last entry", ".timeindex", lambda index: index[:-12], False),
]


def prove_that_it_fails(libs, store):
    for what, suffix, damage, seen_by_tool in DAMAGES:
        with tempfile.TemporaryDirectory() as parent:
            # The tool looks for an index's log by its name, so all names stay.
            largest = max(find(store, ".log"), key=os.path.getsize).removesuffix(".log") + suffix
            copy, victim = parent, os.path.join(parent, os.path.relpath(largest, store))
            shutil.copytree(os.path.dirname(largest), os.path.dirname(victim))
            with open(victim, "r+b") as file:
                content = file.read()
                if not content:
                    sys.exit(f"{victim} is empty: the store is too small to prove anything")
                file.seek(0)
                file.truncate()
                file.write(damage(content))
            complaints = check(libs, copy).complaints
            if seen_by_tool:
                options = DEEP if suffix == ".log" else ["--verify-index-only"]
                complaints = complaints and dump(libs, [victim], *options).complaints
            if not complaints:
                sys.exit(f"nobody complains about {what} in {os.path.relpath(victim, copy)}")
            print(f"{what} in {os.path.relpath(victim, copy)}: seen")


def prove_that_groups_are_compared(libs, store, wanted):
    """Another value of a commit, or a partition that is missing, must be seen."""
    changes = [("offset", -1), ("leader_epoch", 7), ("metadata", "?"), ("partition", 9), ("topic", "x"), ("group", "x")]
    for key, value in changes:
        changed = copy.deepcopy(wanted)
        changed["groups"][-1][key] = value
        if len(list(group_differences(wanted, changed))) != 2:
            sys.exit(f"nobody sees another {key} of a commit")
    offsets = [log for log in find(store, ".log") if topic_of(log) == OFFSETS]
    decoded = dump(libs, offsets, *DEEP, "--offsets-decoder").lines
    for partition in {os.path.dirname(log) for log in offsets}:
        rest = [line for log in offsets if os.path.dirname(log) != partition for line in decoded[log]]
        if not list(group_differences(wanted, groups_of(rest, []))):
            sys.exit(f"nobody misses {partition}")
    undecoded = []
    groups_of([next(iter(decoded.values()))[0].replace("payload: ", "payload ")], undecoded)
    if not undecoded:
        sys.exit("nobody sees a record that is not decoded")
    print(f"changes in {len(changes)} values of a commit, and each partition of {OFFSETS} that is missing: seen")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("libs")
    parser.add_argument("store")
    parser.add_argument("expected", nargs="*")
    parser.add_argument("--groups")
    arguments = parser.parse_intermixed_args()
    libs, store = arguments.libs, arguments.store
    verdict = check(libs, store)
    if arguments.groups:
        with open(arguments.groups) as file:
            wanted = json.load(file)
        verdict.complaints += group_differences(wanted, verdict.groups)
        print(f"{len(wanted['group_states'])} groups have committed {len(wanted['groups'])} offsets")
    for topic, count in (each.rsplit("=", 1) for each in arguments.expected):
        if verdict.records.get(topic, 0) != int(count):
            verdict.complaints.append(f"{topic} has {verdict.records.get(topic, 0)} records, not {count}")
    if not verdict.records:
        verdict.complaints.append(f"no log in {store}")
    print(f"{verdict.batches} batches; records: {verdict.records}")
    if verdict.complaints:
        sys.exit("\n".join(verdict.complaints[:20]))
    prove_that_it_fails(libs, store)
    if arguments.groups:
        prove_that_groups_are_compared(libs, store, wanted)
    print("Kafka agrees")


if __name__ == "__main__":
    main()
