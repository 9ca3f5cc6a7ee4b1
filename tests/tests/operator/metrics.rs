//! `/metrics` is the text that Prometheus reads, counts what happened, and has as many series with a thousand rooms as with none.
//! What the documentation and the dashboard name is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidewire_tests::http::{HttpConnection, get, send};
use tidewire_tests::{Chatter, Client, EventStream, Server, wait_until};

/// What was scraped.
#[derive(Debug, Default)]
struct Scrape {
    /// Type and help of each family.
    families: BTreeMap<String, (String, String)>,
    /// The value of each series, by its name and labels as they were written.
    series: BTreeMap<String, f64>,
}

impl Scrape {
    fn of(server: &Server) -> Self {
        let response = get(server.address(), "/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        let content_type = response.header("content-type");
        assert_eq!(
            content_type,
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        Self::parse(response.text())
    }

    /// Reads the format as strictly as it is written down: a family is its help, its type and then its samples, in one place.
    #[track_caller]
    fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        let mut help = None;
        let mut family = String::new();
        assert!(text.ends_with('\n'), "the last line ends");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, text) = rest.split_once(' ').expect("a name and a text");
                assert!(text.ends_with('.') && !text.contains('\\'), "{line}");
                assert!(help.replace((name, text)).is_none(), "two helps: {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                let (helped, text) = help.take().expect("help comes first");
                assert_eq!(helped, name, "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let described = (kind.to_owned(), text.to_owned());
                let before = scrape.families.insert(name.to_owned(), described);
                assert!(before.is_none(), "a family in two places: {line}");
                name.clone_into(&mut family);
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a series and its value");
                assert_eq!(
                    family_of(series, &scrape.families),
                    Some(family.as_str()),
                    "{line}"
                );
                let value = value
                    .parse()
                    .unwrap_or_else(|_| panic!("no number: {line}"));
                let before = scrape.series.insert(series.to_owned(), value);
                assert!(before.is_none(), "a series twice: {line}");
            }
        }
        scrape.check_histograms();
        scrape
    }

    fn check_histograms(&self) {
        for (name, _) in self
            .families
            .iter()
            .filter(|(_, (kind, _))| kind == "histogram")
        {
            let prefix = format!("{name}_bucket{{le=\"");
            let buckets = self.series.iter().filter_map(|(series, count)| {
                let bound = series.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                let bound = bound.replace("+Inf", "inf").parse::<f64>();
                Some((bound.expect("a bound"), *count))
            });
            let mut buckets: Vec<_> = buckets.collect();
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(
                buckets.is_sorted_by(|a, b| a.1 <= b.1),
                "{name}: {buckets:?}"
            );
            let (last, all) = buckets.last().expect("buckets");
            assert!(last.is_infinite(), "{name}: {buckets:?}");
            assert_eq!(*all, self.value(&format!("{name}_count")), "{name}");
            self.value(&format!("{name}_sum"));
        }
    }

    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        let value = self.series.get(series);
        *value.unwrap_or_else(|| panic!("there is no {series} in {:#?}", self.series))
    }

    fn names(&self) -> BTreeSet<&str> {
        self.series.keys().map(String::as_str).collect()
    }
}

/// The family of a series, which is well formed.
fn family_of<'f>(
    series: &str,
    families: &'f BTreeMap<String, (String, String)>,
) -> Option<&'f str> {
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    for label in labels.split(',').filter(|_| !labels.is_empty()) {
        let (label, value) = label.split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        assert!(
            label.chars().all(is_name) && !value.contains(['"', '\\']),
            "{series}"
        );
    }
    assert!(name.chars().all(is_name), "{series}");
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
        let (family, (kind, _)) = families.get_key_value(name.strip_suffix(suffix)?)?;
        (kind == "histogram").then_some(family.as_str())
    });
    of_histogram.or_else(|| {
        families
            .get_key_value(name)
            .map(|(family, _)| family.as_str())
    })
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn what_happens_is_counted() {
    let server = Server::start();
    let mut ada = Chatter::enter(&server, "ada", "lobby");
    let bob = Chatter::enter(&server, "bob", "lobby");
    let _echo = Client::open(server.address(), "/echo");
    let _relay = Client::open(server.address(), "/relay?room=r");
    let _stream = EventStream::open(server.address(), "/sse?room=lobby", "");
    for seq in 1..=5 {
        ada.say_acked("lobby", "hello", seq);
    }
    let published = send(
        server.address(),
        "POST",
        "/api/rooms/lobby/messages",
        "",
        br#"{"content":1}"#,
    );
    assert_eq!(published.status, 200);
    ada.hear_of("room_msg");
    // Gauges that take a walk through tables are a canary old, what another worker has sent it counts a moment later, and a server that has
    // just been started is ready when its first canary is back.
    wait_until(
        "it is ready, two users are counted, and what they heard",
        || {
            let scrape = Scrape::of(&server);
            scrape.value("tidewire_ready") == 1.0
                && scrape.value("tidewire_users") == 2.0
                && scrape.value("tidewire_messages_sent_total") == 13.0
        },
    );
    let scrape = Scrape::of(&server);
    for (series, expected) in [
        ("tidewire_connections_by_kind{kind=\"chat\"}", 2.0),
        ("tidewire_connections_by_kind{kind=\"echo\"}", 1.0),
        ("tidewire_connections_by_kind{kind=\"relay\"}", 1.0),
        ("tidewire_connections_by_kind{kind=\"sse\"}", 1.0),
        ("tidewire_connections_by_kind{kind=\"poll\"}", 0.0),
        ("tidewire_rooms", 1.0),
        // Joins, five messages and a publication.
        ("tidewire_messages_received_total", 8.0),
        // To bob and the stream the five, to ada, too, the publication.
        ("tidewire_messages_sent_total", 13.0),
        ("tidewire_ready", 1.0),
        ("tidewire_websocket_closes_total{code=\"1000\"}", 0.0),
        (
            "tidewire_connections_ended_total{cause=\"client_close\"}",
            0.0,
        ),
    ] {
        assert_eq!(scrape.value(series), expected, "{series}");
    }
    for series in [
        "tidewire_bytes_received_total",
        "tidewire_bytes_sent_total",
        "tidewire_busy_seconds_total",
        "tidewire_canary_seconds_count",
        "tidewire_log_commit_seconds_count",
        "process_resident_memory_bytes",
    ] {
        assert!(scrape.value(series) > 0.0, "{series}");
    }
    // Once for each worker that has followers.
    let delivered = scrape.value("tidewire_delivery_seconds_count");
    assert!((6.0..=12.0).contains(&delivered), "{delivered}");
    let ended = |scrape: &Scrape, cause: &str| {
        scrape.value(&format!(
            "tidewire_connections_ended_total{{cause=\"{cause}\"}}"
        ))
    };
    drop(bob);
    let mut closing = Client::open(server.address(), "/echo");
    closing.send(&tidewire_tests::Frame::close(1000, "bye"));
    closing.expect_close(1000);
    wait_until("the ends are counted", || {
        let scrape = Scrape::of(&server);
        scrape.value("tidewire_connections_by_kind{kind=\"chat\"}") == 1.0
            && scrape.value("tidewire_connections_by_kind{kind=\"echo\"}") == 1.0
            && scrape.value("tidewire_websocket_closes_total{code=\"1000\"}") == 1.0
            && scrape.value("tidewire_websocket_closes_total{code=\"1006\"}") == 1.0
            // What bob had not read makes the end of his socket a reset.
            && ended(&scrape, "client_eof") + ended(&scrape, "client_reset") == 1.0
            && ended(&scrape, "client_close") == 1.0
    });
}

#[test]
fn a_thousand_rooms_and_users_are_no_new_series() {
    let server = Server::start();
    let before = Scrape::of(&server);
    let mut connection = HttpConnection::open(server.address());
    for number in 0..1000 {
        let body = json!({"content": "x", "from": format!("user-{number}")}).to_string();
        let target = format!("/api/rooms/room-{number}/messages");
        connection.request_with_body("POST", &target, "", body.as_bytes());
        assert_eq!(connection.response().status, 200);
        connection.request(
            "GET",
            &format!("/nothing-{number}"),
            "User-Agent: {number}\r\n",
        );
        assert_eq!(connection.response().status, 404);
    }
    let _members: Vec<Chatter> = (0..50)
        .map(|number| {
            Chatter::enter(
                &server,
                &format!("member-{number}"),
                &format!("room-{number}"),
            )
        })
        .collect();
    let after = Scrape::of(&server);
    assert_eq!(after.names(), before.names());
    assert!(after.value("tidewire_log_entries_total") > 1000.0);
}

#[test]
fn the_table_in_the_documentation_is_what_there_is() {
    let server = Server::start();
    let scrape = Scrape::of(&server);
    let path = repository().join("docs/OBSERVABILITY.md");
    let text = std::fs::read_to_string(path).expect("the documentation");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        (name.starts_with("tidewire_") || name.starts_with("process_"))
            .then(|| (name.to_owned(), cells.next().unwrap_or_default().to_owned()))
    });
    let documented: BTreeMap<String, String> = rows.collect();
    let there: BTreeMap<String, String> = scrape
        .families
        .iter()
        .map(|(name, (kind, _))| (name.clone(), kind.clone()))
        .collect();
    assert_eq!(documented, there);
}

#[test]
fn the_dashboard_is_one_and_names_the_metrics_that_there_are() {
    let server = Server::start();
    let scrape = Scrape::of(&server);
    let path = repository().join("deploy/grafana/tidewire.json");
    let text = std::fs::read_to_string(path).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    assert!(
        dashboard["schemaVersion"]
            .as_u64()
            .is_some_and(|version| version >= 36)
    );
    assert!(dashboard["title"].is_string() && dashboard["uid"].is_string());
    let variables = dashboard["templating"]["list"]
        .as_array()
        .expect("variables");
    let is_source = |variable: &Value| {
        (&variable["type"], &variable["query"], &variable["name"])
            == (
                &json!("datasource"),
                &json!("prometheus"),
                &json!("datasource"),
            )
    };
    assert!(variables.iter().any(is_source), "{variables:?}");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    let mut named = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        assert!(
            panel["title"].is_string() && panel["gridPos"]["w"].is_u64(),
            "{panel}"
        );
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
            let expression = target["expr"].as_str().expect("an expression");
            let before = named.len();
            named.extend(metrics_in(expression));
            assert!(
                named.len() > before || !metrics_in(expression).is_empty(),
                "{expression}"
            );
        }
    }
    assert!(named.len() > 20, "{named:?}");
    let names = scrape.names();
    let names: BTreeSet<&str> = names
        .iter()
        .map(|series| series.split('{').next().unwrap_or(series))
        .collect();
    let unknown: Vec<_> = named
        .iter()
        .filter(|name| !names.contains(name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "the dashboard names what there is not: {unknown:?}"
    );
    let shown: BTreeSet<String> = metrics_in(&text).into_iter().collect();
    let families = scrape.families.iter();
    let unseen: Vec<_> = families
        .filter(|(name, (kind, _))| {
            let sample = match kind.as_str() {
                "histogram" => format!("{name}_bucket"),
                _ => (*name).clone(),
            };
            name.starts_with("tidewire_") && !shown.contains(&sample)
        })
        .collect();
    assert!(unseen.is_empty(), "the dashboard does not show: {unseen:?}");
}

fn metrics_in(expression: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_name(c));
    let ours = words.filter(|word| word.starts_with("tidewire_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}
