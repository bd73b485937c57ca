//! A cluster's trace for programs and for eyes: what is in the lines of JSON, and what a browser makes of the page.
//!
//! The browser's test needs `chromium`: `cargo test --test page -- --ignored`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use brooklet::{ApiKey, Cluster, ClusterTrace, ConsumerConfig, Error, Record, TopicConfig};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
    time::Duration,
};

/// What must not end a script that holds it, nor begin another one.
const EVIL: &str = "</script><script>document.title = 'evil'</script><!-- \u{2028} \\ \"";

/// A run with something of everything, of which a check fails in the end.
fn run() -> Cluster {
    let safe = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    let builder = Cluster::builder().brokers(3).seed(7).replica_lag_time_max(Duration::from_secs(2));
    let cluster =
        builder.topic("orders", safe.clone().partitions(2)).topic("payments", safe).start().unwrap();
    let produce = |count: i32| {
        for n in 0..count {
            for (topic, partition) in [("orders", 0), ("orders", 1), ("payments", 0)] {
                cluster.produce(Record::to(topic).partition(partition).value(&n.to_string())).unwrap();
            }
        }
    };
    produce(10);
    let leader = cluster.leader("orders", 0).unwrap();
    cluster.kill(leader).unwrap();
    produce(5);
    cluster.restart(leader).unwrap();
    cluster.advance(Duration::from_secs(5));
    let refused = cluster.intercept(ApiKey::Produce).times(1).fail(Error::NotLeaderOrFollower);
    let lost = cluster.intercept(ApiKey::Fetch).times(1).drop_request();
    produce(1);
    let mut consumer =
        cluster.consumer(ConsumerConfig::standalone()).subscribe(["orders", "payments"]).unwrap();
    while !consumer.is_caught_up().unwrap() {
        let _ = consumer.poll(Duration::from_millis(100));
    }
    assert_eq!((refused.hits(), lost.hits()), (1, 1));
    let away = cluster.leader("payments", 0).unwrap();
    cluster.isolate(away).unwrap();
    cluster.advance(Duration::from_secs(6));
    cluster.heal().unwrap();
    cluster.note(EVIL);
    cluster.advance(Duration::from_secs(3));
    cluster.note_failure("a record is there twice");
    cluster
}

fn parsed(trace: &ClusterTrace) -> Vec<Value> {
    trace.to_json_lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'v>(all: &'v [Value], kind: &'static str) -> Vec<&'v Value> {
    all.iter().filter(|event| event["kind"] == kind).collect()
}

#[test]
fn each_line_is_an_object_with_a_time_and_a_kind_and_the_story_is_in_it() {
    let trace = run().trace();
    let all = parsed(&trace);
    assert_eq!((&all[0]["kind"], &all[0]["seed"]), (&"cluster".into(), &7.into()));
    let times: Vec<f64> = all.iter().map(|event| event["at"].as_f64().unwrap()).collect();
    assert!(times.is_sorted());
    let line = |event: &Value| Some(format!("{:>12.6} {}", event["at"].as_f64()?, event["text"].as_str()?));
    let story: Vec<String> = all.iter().filter_map(line).collect();
    assert_eq!(story, trace.lines());
    let kinds: BTreeSet<&str> = all.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    for kind in
        ["started", "killed", "controller", "registered", "fenced", "unfenced", "topic", "partition", "note"]
    {
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
    for kind in
        ["isolated", "healed", "request_refused", "request_lost", "failed", "high_watermark", "request"]
    {
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
}

#[test]
fn leaders_in_sync_replicas_and_high_watermarks_are_those_that_the_cluster_has() {
    let cluster = run();
    let all = parsed(&cluster.trace());
    for (topic, partition) in [("orders", 0), ("orders", 1), ("payments", 0)] {
        let is = |event: &&&Value| event["topic"] == topic && event["partition"] == partition;
        let last = |kind| *of_kind(&all, kind).iter().rfind(is).unwrap();
        let told = last("partition");
        assert_eq!(told["leader"].to_string(), cluster.leader(topic, partition).unwrap().to_string());
        let isr: Vec<String> =
            cluster.isr(topic, partition).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(told["isr"].to_string(), format!("[{}]", isr.join(",")));
        assert_eq!(told["replicas"].as_array().unwrap().len(), 3);
        assert_eq!(last("high_watermark")["offset"], cluster.high_watermark(topic, partition).unwrap());
        let offsets = of_kind(&all, "high_watermark");
        let offsets: Vec<i64> = offsets.iter().filter(is).map(|e| e["offset"].as_i64().unwrap()).collect();
        assert!(offsets.len() >= 16 && offsets.is_sorted(), "{offsets:?}");
    }
}

#[test]
fn requests_tell_who_was_asked_for_what_and_what_became_of_it() {
    let all = parsed(&run().trace());
    let requests = of_kind(&all, "request");
    let produced: Vec<&Value> = requests.iter().copied().filter(|r| r["api"] == "Produce").collect();
    let mut next: BTreeMap<&str, i64> = BTreeMap::new();
    for request in produced.iter().filter(|request| request["offset"].is_number()) {
        assert!(request["answered"].as_f64().unwrap() > request["at"].as_f64().unwrap());
        assert_eq!(request["records"], 1);
        let partition = request["partitions"][0].as_str().unwrap();
        let expected = next.entry(partition).or_default();
        assert_eq!(request["offset"], *expected, "{request}");
        *expected += 1;
    }
    assert_eq!(
        next.into_iter().collect::<Vec<_>>(),
        [("orders-0", 16), ("orders-1", 16), ("payments-0", 16)]
    );
    assert_eq!(produced.iter().filter(|request| request["error"].is_string()).count(), refused(&all));
    assert!(requests.iter().any(|r| r["api"] == "Fetch" && r["bytes"].as_u64() > Some(0)));
    assert!(requests.iter().any(|r| r["api"] == "Fetch" && r["error"].is_string()), "one was lost");
}

/// How many produces found nobody who leads, or were refused on purpose.
fn refused(all: &[Value]) -> usize {
    let requests = of_kind(all, "request");
    let produces = requests.iter().filter(|request| request["api"] == "Produce").count();
    produces - 48
}

#[test]
fn the_same_seed_has_the_same_requests_and_high_watermarks() {
    assert_eq!(run().trace(), run().trace());
}

#[test]
fn whatever_a_text_holds_it_is_read_back() {
    let cluster = Cluster::builder().brokers(1).start().unwrap();
    let all: String = (0..0x250u32).chain([0x2028, 0x1f980]).filter_map(char::from_u32).collect();
    cluster.note(&all);
    let trace = cluster.trace();
    assert_eq!(parsed(&trace).last().unwrap()["text"], all);
    assert_eq!(embedded(&trace.to_html()).last().unwrap()["text"], all);
}

/// The data of a page, as a browser reads it: up to what ends a script.
fn embedded(page: &str) -> Vec<Value> {
    let (_, data) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let (data, _) = data.split_once("</script").unwrap();
    serde_json::from_str(data).unwrap()
}

#[test]
fn the_page_holds_all_that_it_needs() {
    let trace = run().trace();
    let page = trace.to_html();
    assert_eq!(embedded(&page), parsed(&trace));
    assert_eq!(page.matches("</script").count(), 2, "no text ends a script");
    for asks in [" src=", " href=", "@import", "fetch(", "XMLHttpRequest", "import(", "https:"] {
        assert!(!page.contains(asks), "{asks}");
    }
    let addresses: BTreeSet<&str> =
        page.split("http://").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
    assert_eq!(addresses, ["www.w3.org/2000/svg"].into(), "a name, which nobody asks for");
    assert!(!page.contains("/* data */") && !page.contains("/* script */") && !page.contains("/* style */"));
}

/// What is looked for in the page once it is drawn: it is put into it, behind its own script.
const PROBE: &str = "
const over = element => {
  const box = element.getBoundingClientRect();
  element.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2}));
  return document.getElementById('tip').textContent;
};
const all = selector => [...document.querySelectorAll(selector)];
const probe = {
  asked: performance.getEntriesByType('resource').map(entry => entry.name),
  title: document.title,
  brokers: all('.lane.broker').map(lane => lane.dataset.broker),
  partitions: all('.lane.partition').map(lane => lane.dataset.partition),
  down: all('[data-broker] .span.down').length,
  controllers: all('.reigns').map(over),
  leaders: all('[data-partition=\"orders-0\"] .leader').map(leader => leader.dataset.leader),
  isr: all('[data-partition=\"orders-0\"] .isr').map(isr => isr.dataset.isr),
  watermarks: all('.hw').map(line => line.dataset.highWatermark),
  moves: all('.hw').map(line => line.getAttribute('d').split('V').length - 1),
  area: all('[data-partition-tip]').map(over)[0],
  moving: all('.moves').length,
  leading: all('.leader').map(over),
  faults: all('.mark.fault').map(mark => mark.dataset.kind),
  tips: all('.mark').map(over),
  requests: all('.request').map(over),
  drawn: all('.request').every(request => request.getBoundingClientRect().width > 0),
  failed: all('line.failed').map(over),
  flags: all('.flag').map(over),
  red: all('.line.broken').map(line => line.textContent),
  banner: all('.failure').map(banner => banner.textContent),
  story: all('.line').map(line => line.textContent),
};
// It moves about: each of these draws anew.
const ticks = () => all('text.tick').map(tick => tick.textContent).join(' ');
const press = key => dispatchEvent(new KeyboardEvent('keydown', {key}));
const pointer = (kind, x) => document.getElementById('lanes').dispatchEvent(new PointerEvent(kind, {bubbles: true, clientX: x, clientY: 200}));
const steps = [
  () => document.getElementById('in').click(),
  () => document.getElementById('chart').dispatchEvent(new WheelEvent('wheel', {bubbles: true, deltaY: -400, clientX: 600, clientY: 200})),
  () => { pointer('pointerdown', 600); pointer('pointermove', 400); pointer('pointerup', 400); },
  () => { pointer('pointerdown', 500); pointer('pointerup', 500); },
  () => press('ArrowLeft'),
  () => press('-'),
  () => document.querySelector('.line').click(),
  () => document.getElementById('all').click(),
];
probe.ticks = [ticks()];
const step = () => {
  const next = steps.shift();
  if (!next) {
    probe.errors = window.errors;
    return document.body.setAttribute('data-probe', encodeURIComponent(JSON.stringify(probe)));
  }
  next();
  setTimeout(() => { probe.ticks.push(ticks()); step(); }, 50);
};
step();
";

/// Opens a page in a browser, and gives what the probe has found.
fn browse(name: &str, page: &str) -> Value {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    let errors = "<head><script>window.errors = []; addEventListener('error', e => errors.push(e.message));
        addEventListener('securitypolicyviolation', e => errors.push(e.blockedURI));
        window.requestAnimationFrame = then => setTimeout(then, 0); // nothing is shown, so that no frame may come</script>";
    let page = page.replacen("<head>", errors, 1).replacen(
        "</body>",
        &format!("<script>{PROBE}</script></body>"),
        1,
    );
    let path = dir.join("page.html");
    std::fs::write(&path, page).unwrap();
    let browser = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1600,1000",
        ])
        .args(["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .expect("chromium runs");
    let said = String::from_utf8_lossy(&browser.stderr);
    assert!(browser.status.success(), "{said}");
    let console: Vec<&str> = said.lines().filter(|line| line.contains(":CONSOLE")).collect();
    assert!(console.is_empty(), "{console:?}");
    let dom = String::from_utf8(browser.stdout).unwrap();
    let (_, probe) = dom.split_once("data-probe=\"").expect(&dom);
    serde_json::from_str(&decoded(probe.split('"').next().unwrap())).unwrap()
}

/// Undoes `encodeURIComponent`.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

fn texts(of: &Value) -> Vec<&str> {
    of.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
#[ignore = "needs a headless Chromium"]
fn a_browser_shows_brokers_partitions_faults_requests_and_what_failed() {
    let cluster = run();
    let trace = cluster.trace();
    let seen = browse("page", &trace.to_html());
    assert_eq!((texts(&seen["errors"]).len(), texts(&seen["asked"]).len()), (0, 0), "{seen}");
    assert_eq!(seen["title"], "seed 7 fails: a record is there twice");
    assert_eq!(texts(&seen["brokers"]), ["1", "2", "3"]);
    assert_eq!(texts(&seen["partitions"]), ["orders-0", "orders-1", "payments-0"]);
    assert!(seen["down"].as_u64() > Some(0), "one was killed");
    assert!(texts(&seen["controllers"]).iter().any(|tip| tip.contains("is the controller of term")));

    let all = parsed(&trace);
    let told = of_kind(&all, "partition");
    let told: Vec<&&Value> = told.iter().filter(|e| e["topic"] == "orders" && e["partition"] == 0).collect();
    assert!(told.len() >= 4, "another leader, and in sync again: {told:?}");
    let leaders: Vec<String> = told.iter().map(|e| e["leader"].to_string()).collect();
    assert_eq!(texts(&seen["leaders"]), leaders);
    let isr =
        |e: &&&Value| e["isr"].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(" ");
    let each_for_three: Vec<String> = told.iter().flat_map(|e| [isr(e), isr(e), isr(e)]).collect();
    assert_eq!(texts(&seen["isr"]), each_for_three);
    assert_eq!(texts(&seen["watermarks"]), ["16", "16", "16"]);
    assert!(
        seen["moves"].as_array().unwrap().iter().all(|moves| moves.as_u64() > Some(3)),
        "{}",
        seen["moves"]
    );
    assert!(seen["area"].as_str().unwrap().contains("high watermark"), "{}", seen["area"]);

    let faults: BTreeSet<&str> = texts(&seen["faults"]).into_iter().collect();
    assert!(faults.contains("killed") && faults.contains("isolated"), "{faults:?}");
    let tips = texts(&seen["tips"]).join("\n");
    for fault in ["is killed", "is isolated", "refuses Produce", "Fetch does not reach", EVIL] {
        assert!(tips.contains(fault), "{fault} is not in {tips}");
    }
    let requests = texts(&seen["requests"]);
    assert_eq!((requests.len(), &seen["drawn"]), (of_kind(&all, "request").len(), &true.into()));
    let first = "Produce orders-0, 1 record\nto broker";
    assert!(requests.iter().any(|tip| tip.starts_with(first) && tip.ends_with("offset 0")), "{requests:?}");
    assert!(requests.iter().any(|tip| tip.starts_with("Fetch orders-") && tip.contains("ms later")));
    let refused = Error::NotLeaderOrFollower.to_string();
    assert!(requests.iter().any(|tip| tip.starts_with("Produce") && tip.ends_with(&refused)));

    let ticks = texts(&seen["ticks"]);
    let (first, zoomed, closer, dragged) = (ticks[0], ticks[1], ticks[2], ticks[3]);
    assert!(first != zoomed && zoomed != closer && closer != dragged, "{ticks:?}");
    assert_eq!(ticks.last(), Some(&first), "all of it again");

    let failed = texts(&seen["failed"]);
    assert_eq!(failed.len(), 2, "through the faults, and through all lanes");
    assert!(failed.iter().all(|tip| tip.ends_with("a check fails: a record is there twice")));
    assert!(texts(&seen["banner"])[0].ends_with("a check fails: a record is there twice"));
    assert_eq!(texts(&seen["story"]).last().copied(), trace.lines().last().map(String::as_str));
}

#[test]
#[ignore = "needs a headless Chromium"]
fn a_browser_shows_many_requests_as_bars_and_many_partitions_and_brokers() {
    let config = TopicConfig::new().partitions(30).replication_factor(5);
    let cluster = Cluster::builder().brokers(9).seed(3).topic("many", config).start().unwrap();
    for n in 0..3000 {
        cluster.produce(Record::to("many").partition(n % 3).value("x")).unwrap();
    }
    let seen = browse("large", &cluster.trace().to_html());
    assert_eq!((texts(&seen["errors"]).len(), texts(&seen["asked"]).len()), (0, 0), "{seen}");
    assert_eq!((texts(&seen["brokers"]).len(), texts(&seen["partitions"]).len()), (9, 30));
    let requests = texts(&seen["requests"]);
    assert!(requests.iter().any(|tip| tip.contains("zoom in to see each")) && requests.len() < 3000);
}

#[test]
#[ignore = "needs a headless Chromium"]
fn a_browser_shows_brokers_that_come_and_go_and_partitions_on_their_way() {
    let cluster = Cluster::builder().brokers(3).seed(5).start().unwrap();
    assert_eq!(cluster.add_broker().unwrap(), 4.into());
    let config = TopicConfig::new().partitions(4).replication_factor(3);
    cluster.create_topic("t", config).unwrap();
    cluster.produce(Record::to("t").partition(0).value("x")).unwrap();
    cluster.decommission(4, Duration::from_secs(60)).unwrap();
    let seen = browse("moving", &cluster.trace().to_html());
    assert_eq!((texts(&seen["errors"]).len(), texts(&seen["asked"]).len()), (0, 0), "{seen}");
    assert_eq!(texts(&seen["brokers"]), ["1", "2", "3", "4"]);
    assert!(texts(&seen["faults"]).contains(&"gone"), "{}", seen["faults"]);
    assert!(seen["moving"].as_u64() > Some(0));
    assert!(
        texts(&seen["leading"])
            .iter()
            .any(|tip| tip.contains(", on its way to: ") && tip.ends_with(", from: 4"))
    );
}

/// A run in which an invariant is broken, and what the panic said: all copies are on real disks, which lose what was acknowledged while
/// the brokers are down, so that these do not know.
fn broken() -> (ClusterTrace, String) {
    let dir = tempfile::tempdir().unwrap();
    let safe = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    let builder = Cluster::builder().brokers(3).seed(7).directory(dir.path()).check_invariants(true);
    let cluster = builder.topic("orders", safe).start().unwrap();
    for n in 0..10 {
        cluster.produce(Record::to("orders").value(&n.to_string())).unwrap();
    }
    for id in cluster.brokers() {
        cluster.kill(id).unwrap();
        let log = dir.path().join(format!("broker-{id}/orders-0/00000000000000000000.log"));
        std::fs::write(log, "").unwrap();
    }
    let go_on = || {
        cluster.brokers().into_iter().for_each(|id| cluster.restart(id).unwrap());
        cluster.advance(Duration::from_secs(60));
    };
    let panic = catch_unwind(AssertUnwindSafe(go_on)).expect_err("somebody sees it");
    (cluster.trace(), panic.downcast_ref::<String>().unwrap().clone())
}

#[test]
fn an_invariant_that_is_broken_ends_the_lines() {
    let (trace, said) = broken();
    let all = parsed(&trace);
    let [event] = of_kind(&all, "broken")[..] else { panic!("{trace}") };
    let (invariant, what) = (event["invariant"].as_str().unwrap(), event["what"].as_str().unwrap());
    assert_eq!(event["text"], format!("an invariant is broken, {invariant}: {what}"));
    assert_eq!(said.lines().next(), event["text"].as_str());
    assert!(trace.lines().last().unwrap().ends_with(what), "nothing happens afterwards\n{trace}");
}

#[test]
#[ignore = "needs a headless Chromium"]
fn a_browser_shows_the_invariant_that_is_broken() {
    let (trace, said) = broken();
    let all = parsed(&trace);
    let invariant = of_kind(&all, "broken")[0]["invariant"].as_str().unwrap();
    let text = said.lines().next().unwrap();
    let seen = browse("broken", &trace.to_html());
    assert_eq!((texts(&seen["errors"]).len(), texts(&seen["asked"]).len()), (0, 0), "{seen}");
    assert_eq!(seen["title"], format!("seed 7 fails: {invariant}"));
    let [banner] = texts(&seen["banner"])[..] else { panic!("{seen}") };
    assert!(banner.ends_with(text), "{banner}, and not {text}");
    let failed = texts(&seen["failed"]);
    assert_eq!(failed.len(), 2, "through the faults, and through all lanes");
    assert!(failed.iter().chain(&texts(&seen["flags"])).all(|tip| tip.ends_with(text)), "{seen}");
    assert_eq!(texts(&seen["flags"]).len(), 1);
    let [line] = texts(&seen["red"])[..] else { panic!("{seen}") };
    assert!(line.ends_with(text), "{line}");
}
