//! What is done to a store before, between and after the crashes.

/// How a topic is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) partitions: i32,
    pub(crate) segment_bytes: u32,
    pub(crate) index_interval: u32,
    pub(crate) flushed: bool,
}

/// One thing that an application does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Create(&'static str, Shape),
    Delete(&'static str),
    /// So many records one by one.
    Send {
        topic: &'static str,
        partition: i32,
        count: usize,
        size: usize,
        flushed: bool,
    },
    /// So many records at once, over all partitions.
    SendAll {
        topic: &'static str,
        count: usize,
        size: usize,
    },
    Read(&'static str),
    /// Polls some records, and commits behind them.
    Commit {
        group: &'static str,
        topic: &'static str,
        partition: i32,
        records: usize,
    },
    Flush,
    /// Lets so many seconds go by: all timers fire.
    Wait(u64),
    /// Closes the broker, and opens it again.
    Reopen,
}

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
}

const BIG: Shape = Shape { partitions: 1, segment_bytes: 1 << 20, index_interval: 4096, flushed: false };
const TINY: Shape = Shape { partitions: 3, segment_bytes: 1024, index_interval: 128, flushed: false };

fn send(topic: &'static str, partition: i32, count: usize, size: usize) -> Step {
    Step::Send { topic, partition, count, size, flushed: false }
}

fn send_flushed(topic: &'static str, partition: i32, count: usize, size: usize) -> Step {
    Step::Send { topic, partition, count, size, flushed: true }
}

fn commit(group: &'static str, topic: &'static str, partition: i32, records: usize) -> Step {
    Step::Commit { group, topic, partition, records }
}

pub(crate) fn all() -> Vec<Workload> {
    vec![flushed_topic(), buffered_topic(), tiny_segments(), topics_come_and_go(), groups(), reopened()]
}

fn flushed_topic() -> Workload {
    let shape = Shape { flushed: true, segment_bytes: 2048, index_interval: 256, ..BIG };
    let steps = vec![
        Step::Create("paid", shape),
        send("paid", 0, 12, 150),
        Step::SendAll { topic: "paid", count: 9, size: 60 },
        Step::Read("paid"),
        Step::Wait(3),
        send("paid", 0, 8, 300),
    ];
    Workload { name: "flushed_topic", steps }
}

fn buffered_topic() -> Workload {
    let steps = vec![
        Step::Create("seen", BIG),
        send("seen", 0, 10, 100),
        Step::Flush,
        send("seen", 0, 7, 700),
        Step::Read("seen"),
        Step::Wait(2),
        send("seen", 0, 5, 40),
        send_flushed("seen", 0, 1, 40),
        send("seen", 0, 5, 1200),
        Step::Read("seen"),
    ];
    Workload { name: "buffered_topic", steps }
}

fn tiny_segments() -> Workload {
    let steps = vec![
        Step::Create("a", TINY),
        Step::Create("b", Shape { partitions: 1, segment_bytes: 4096, ..TINY }),
        Step::SendAll { topic: "a", count: 12, size: 200 },
        send("a", 0, 9, 250),
        send("b", 0, 12, 400),
        Step::Read("a"),
        send_flushed("a", 1, 4, 250),
        Step::Flush,
        send("a", 0, 9, 250),
        Step::SendAll { topic: "b", count: 14, size: 300 },
        Step::Read("b"),
        Step::Wait(2),
        send("a", 2, 8, 100),
        send_flushed("a", 2, 1, 900),
        send("b", 0, 6, 900),
    ];
    Workload { name: "tiny_segments", steps }
}

fn topics_come_and_go() -> Workload {
    let steps = vec![
        Step::Create("t", TINY),
        Step::Create("stays", Shape { flushed: true, ..BIG }),
        send("t", 1, 6, 250),
        send("stays", 0, 2, 30),
        commit("g", "t", 1, 2),
        Step::Delete("t"),
        Step::Create("t", Shape { partitions: 2, ..TINY }),
        send_flushed("t", 1, 3, 250),
        send("stays", 0, 1, 30),
        Step::Flush,
        Step::Delete("t"),
        Step::Create("t", TINY),
        // The directories of the deleted ones go.
        Step::Wait(3),
        send("t", 1, 2, 250),
        Step::Delete("t"),
        Step::Reopen,
        Step::Create("t", TINY),
        send("t", 0, 4, 250),
        commit("g", "t", 0, 3),
        Step::Delete("t"),
        Step::Create("t", BIG),
        send_flushed("t", 0, 2, 30),
    ];
    Workload { name: "topics_come_and_go", steps }
}

fn groups() -> Workload {
    let steps = vec![
        Step::Create("in", Shape { partitions: 2, ..TINY }),
        Step::SendAll { topic: "in", count: 10, size: 200 },
        commit("billing", "in", 0, 2),
        commit("audit", "in", 0, 4),
        commit("audit", "in", 1, 1),
        Step::Flush,
        commit("billing", "in", 0, 1),
        send("in", 0, 5, 200),
        commit("audit", "in", 0, 6),
        Step::Wait(2),
        commit("billing", "in", 1, 5),
        send_flushed("in", 0, 1, 30),
        commit("billing", "in", 0, 5),
    ];
    Workload { name: "groups", steps }
}

fn reopened() -> Workload {
    let steps = vec![
        Step::Create("log", Shape { partitions: 2, segment_bytes: 2048, ..TINY }),
        send("log", 0, 7, 250),
        commit("g", "log", 0, 3),
        Step::Reopen,
        Step::Read("log"),
        send("log", 0, 6, 250),
        send_flushed("log", 1, 2, 250),
        commit("g", "log", 0, 3),
        Step::Reopen,
        Step::Reopen,
        send("log", 0, 3, 250),
        send_flushed("log", 0, 1, 20),
        Step::Read("log"),
    ];
    Workload { name: "reopened", steps }
}

/// What is done after a recovery, to the topics that are there.
pub(crate) fn more(topics: &[(&'static str, i32)], variant: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for (topic, partitions) in topics {
        let partition = (variant % *partitions as u64) as i32;
        match variant % 3 {
            0 => steps.extend([send(topic, partition, 3, 120), Step::Flush, send(topic, partition, 3, 300)]),
            1 => steps.extend([send_flushed(topic, partition, 2, 120), send(topic, partition, 5, 60)]),
            _ => steps.extend([send(topic, partition, 4, 200), send_flushed(topic, partition, 1, 20)]),
        }
        steps.push(Step::Read(topic));
    }
    steps.push(if variant.is_multiple_of(2) { Step::Wait(2) } else { Step::Flush });
    steps.extend(topics.iter().map(|(topic, _)| Step::SendAll { topic, count: 3, size: 200 }));
    steps
}
