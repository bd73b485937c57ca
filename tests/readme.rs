//! What the README shows is what there is.

#![allow(clippy::expect_used, clippy::disallowed_methods, missing_docs, unreachable_pub)]

#[path = "../benches/bench/drawing.rs"]
mod drawing;
#[path = "readme/first.rs"]
mod first;
/// The test that the README shows is one of these.
#[rustfmt::skip]
#[path = "readme/orders.rs"]
mod orders;
#[path = "../examples/scaling/plot.rs"]
#[allow(dead_code, reason = "the example prints more of it")]
mod plot;
#[path = "../benches/bench/svg.rs"]
mod svg;
#[path = "../benches/bench/table.rs"]
mod table;

use brooklet::{Broker, ConsumerConfig};
use std::{fs, path::Path, process::Command, time::Duration};
use table::Row;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// What stands between ```` ```rust ```` and ```` ``` ````.
fn blocks_of_rust(page: &str) -> Vec<&str> {
    page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn all_the_rust_that_the_readme_shows_is_run_here() {
    let readme = read("README.md");
    let first = read("tests/readme/first.rs").replace("\n    ", "\n");
    let [shown_first, shown_orders] = blocks_of_rust(&readme)[..] else { panic!("run the others, too") };
    assert!(
        first.contains(&format!("{{\n{shown_first}Ok(())\n}}\n")),
        "tests/readme/first.rs has not:\n{shown_first}"
    );
    assert_eq!(read("tests/readme/orders.rs"), shown_orders);
}

/// Run by the test below, in a directory of its own.
#[test]
#[ignore = "it leaves a store where it is run"]
fn the_first_block() {
    first::first().expect("it runs");
}

#[test]
fn the_first_block_does_what_it_says() {
    let scratch = tempfile::tempdir().expect("a directory");
    for runs in 1..=2 {
        let mut test = Command::new(std::env::current_exe().expect("this program"));
        let ran = test.args(["--ignored", "--exact", "the_first_block"]).current_dir(scratch.path()).output();
        let ran = ran.expect("it can be run");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        let broker = Broker::open(scratch.path().join("data")).expect("the store");
        let mut all = broker.consumer(ConsumerConfig::standalone()).subscribe("orders").expect("orders");
        let records = all.poll(Duration::from_secs(1)).expect("records");
        let records: Vec<_> = records.iter().map(|r| (r.key_str(), r.value_str())).collect();
        assert_eq!(records, vec![(Ok("alice"), Ok("3 apples")); runs]);
        let committed = broker.admin().group_offsets("billing").expect("the group");
        assert_eq!(committed.iter().map(|(_, at)| at.offset).sum::<i64>(), runs as i64, "all is billed");
    }
}

#[test]
fn the_picture_is_of_the_table() {
    let rows = Row::read(&read("README.md"));
    assert!(rows.len() > 20, "{} rows", rows.len());
    let is_drawn = read("benches/bench.svg") == svg::draw(&rows);
    assert!(is_drawn, "draw it: cargo bench -- --svg benches/bench.svg --table README.md");
}

#[test]
fn the_plot_is_of_its_table() {
    let rows = plot::Row::read(&read("README.md"));
    let told: Vec<(u16, u32)> = rows.iter().map(|row| (row.brokers, row.partitions)).collect();
    let all = [1, 3, 9, 27].into_iter().flat_map(|brokers| [1, 10, 100, 1000].map(|count| (brokers, count)));
    assert_eq!(told, all.collect::<Vec<_>>());
    let is_drawn = read("benches/scaling.svg") == plot::draw(&rows);
    assert!(
        is_drawn,
        "draw it: cargo run --release --example scaling -- --svg benches/scaling.svg --table README.md"
    );
}

#[test]
fn a_cost_that_is_linear_is_a_straight_line_along_the_faint_one() {
    let row = |partitions: u32| format!("| 3 | {partitions} | {partitions} | 5.0 | 1 | 1 | 1 | 1 |\n");
    let rows = plot::Row::read(&format!("| a | b |\n{}{}{}", row(10), row(100), row(1000)));
    assert_eq!(rows.iter().map(|row| row.partitions).collect::<Vec<_>>(), [10, 100, 1000]);
    assert_eq!(
        rows.iter().map(plot::Row::cells).collect::<String>(),
        [row(10), row(100), row(1000)].concat()
    );
    let drawn = plot::draw(&rows);
    let points = |class: &str| -> Vec<(f64, f64)> {
        let start = format!("<path class=\"{class}\"");
        // The first one is the legend's.
        let line = drawn.lines().filter(|line| line.starts_with(&start)).nth(1).expect(class);
        let points = line.split('"').nth(3).expect("points").trim_start_matches('M').split('L');
        let number = |text: &str| text.parse().expect("a number");
        points.map(|point| point.split_once(' ').map(|(x, y)| (number(x), number(y))).expect("x y")).collect()
    };
    let slope = |one: (f64, f64), other: (f64, f64)| (other.1 - one.1) / (other.0 - one.0);
    let (line, faint) = (points("b3"), points("linear"));
    for pair in line.windows(2).chain([&faint[..]]) {
        assert!((slope(pair[0], pair[1]) - slope(faint[0], faint[1])).abs() < 0.01, "{line:?} {faint:?}");
    }
    assert!(line.len() == 3 && slope(line[0], line[1]) < 0.0, "{line:?}");
}

#[test]
fn a_bar_is_as_long_as_its_ratio_and_marked_where_it_should_end() {
    let page = "
| | raw | brooklet | of raw | wanted | runs |
|---|---|---|---|---|---|
| append <1> | 2 M/s | 1 M/s | 50 % | >= 100 % | 9 |
| start | 2.00 ms | 4 ms | 50 % | <= 4 ms | 9 |
| read | 1 ns | 9 ns | 900 % | | 9 |
";
    let rows = Row::read(page);
    assert_eq!(rows.iter().map(Row::wanted_percent).collect::<Vec<_>>(), [Some(100.0), Some(50.0), None]);
    let drawn = svg::draw(&rows);
    for part in [
        "append &lt;1>",
        "≥ 100 %",
        "<path class=\"short\" d=\"M342 78H422v13H342z\"/>\n<path class=\"mark\" d=\"M502 75V94\"/>",
        "<path class=\"bar\" d=\"M342 108H422v13H342z\"/>\n<path class=\"mark\" d=\"M422 105V124\"/>",
        "<path class=\"bar\" d=\"M342 138H662l6 6.5l-6 6.5H342z\"/>",
    ] {
        assert!(drawn.contains(part), "{part} is not in\n{drawn}");
    }
}

#[test]
fn what_is_wanted_is_a_ratio_or_a_figure() {
    let percent = |raw: &str, wanted: &str| {
        let [raw, wanted] = [raw, wanted].map(str::to_owned);
        let row = Row { name: String::new(), raw, brooklet: String::new(), ratio: String::new(), wanted };
        row.wanted_percent().map(f64::round)
    };
    assert_eq!(percent("5 M/s", ">= 140 %"), Some(140.0));
    assert_eq!(percent("500.0 k/s", ">= 1 M/s"), Some(200.0));
    assert_eq!(percent("3 us", "<= 600 ns"), Some(500.0));
    assert_eq!(percent("300 ns", "<= 1.25 x"), Some(80.0));
    assert_eq!(percent("2.5 MiB", "<= 10 MiB"), Some(25.0));
    assert_eq!(percent("2.5 MiB", ""), None);
}

#[test]
fn a_newcomer_finds_every_recipe() {
    let (readme, index) = (read("README.md"), read("src/docs/recipes.rs"));
    let mut recipes = 0;
    for entry in fs::read_dir(root().join("src/docs/recipes")).expect("the recipes") {
        let name = entry.expect("a recipe").file_name().into_string().expect("a name");
        let module = name.trim_end_matches(".md");
        assert!(readme.contains(&format!("](src/docs/recipes/{name})")), "{name} is not in the README");
        assert!(index.contains(&format!("| [`{module}`] |")), "{name} has no row");
        assert!(index.contains(&format!("recipes/{name}")), "{name} is not in the documentation");
        recipes += 1;
    }
    assert!(recipes > 0);
}

/// What a Kafka broker is there for.
const ROLES: [&str; 10] = [
    "placing records",
    "tracking owners and offsets",
    "serving fetches",
    "groups",
    "replication",
    "election",
    "syncing",
    "metadata and routing",
    "one controller",
    "scaling out",
];

#[test]
fn a_newcomer_finds_each_role_of_a_broker_on_the_cluster() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("| role | embedded broker | cluster |\n").expect("the table");
    let rows = table.lines().skip(1).map_while(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ROLES);
    for row in rows {
        let [role, _, cluster] = row[..] else { panic!("{row:?}") };
        assert!(cluster.contains("]("), "{role} has no link");
        assert!(
            readme.contains(&format!("[`{}`](tests/roles.rs)", role.replace(' ', "_"))),
            "{role} has no test"
        );
    }
}

/// Files that are linked to are there.
#[test]
fn no_link_of_the_readme_is_dead() {
    let readme = read("README.md");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.contains("://")) {
        assert!(root().join(link).exists(), "{link}");
    }
}

/// Tests that are linked to by their names, as "`name`" and a file, are in that file.
#[test]
fn every_test_that_the_readme_names_is_there() {
    let readme = read("README.md");
    let mut named = 0;
    for (before, link) in readme.split("`](").zip(readme.split("`](").skip(1)) {
        let (name, path) = (before.rsplit('`').next(), link.split(')').next());
        let (name, path) = (name.expect("a name"), path.expect("a path"));
        if path.ends_with(".rs") && name.chars().all(|c| c == '_' || c.is_ascii_lowercase()) {
            assert!(read(path).contains(&format!("fn {name}()")), "{name} is not in {path}");
            named += 1;
        }
    }
    assert!(named >= 10, "{named} tests");
}
