//! Three nodes on a NATS that is killed, stands still and forgets, and nodes that are killed, under the load of `tidewire verify`: what
//! was acknowledged is there, once and in order, or a gap says that it is not. In short here; `cargo xtask chaos nats` does it many times.

use std::thread::sleep;
use std::time::Duration;

use tidewire_tests::http::send;
use tidewire_tests::verify::KEEPS_ALL;
use tidewire_tests::wait::{holds_within, number_from};
use tidewire_tests::{Dice, Nats, Nodes, Server, Verify, wait_until};

/// Nodes of a campaign.
const NODES: usize = 3;

/// Who publishes is refused soon, as by default.
const HASTY: [&str; 2] = ["--log-timeout", "2s"];

/// How long the checker may take to its end: everybody resumes, and the whole history is read.
const END_MAX: Duration = Duration::from_secs(360);

/// How long nodes may take until they take messages again.
const GOES_ON_MAX: Duration = Duration::from_secs(120);

/// A NATS, nodes on it, and who checks what they do.
struct Campaign {
    nats: Nats,
    nodes: Nodes,
    dice: Dice,
    verify: Verify,
    rounds: usize,
}

impl Campaign {
    #[track_caller]
    fn start(flags: &[&str], verify: &[&str]) -> Self {
        let nats = Nats::start();
        let nodes = Nodes::on(
            &nats.url(),
            NODES,
            &[&KEEPS_ALL[..], &HASTY, flags].concat(),
        );
        nodes.all().for_each(Server::wait_until_ready);
        let load = ["--publishers", "6", "--subscribers", "12", "--rooms", "3"];
        let load = [&load[..], &["--rate", "60", "--patience", "120s"], verify];
        let verify = Verify::start(&nodes, &load.concat());
        wait_until("its clients have come", || {
            let connections = nodes.all().map(|node| node.health().connections);
            connections.sum::<u64>() >= 18
        });
        Self {
            nats,
            nodes,
            dice: Dice::new(number_from("TIDEWIRE_SEED", 1) as u64),
            verify,
            rounds: number_from("TIDEWIRE_ROUNDS", 2),
        }
    }

    /// Some time in which nothing goes wrong, or goes on to be wrong.
    fn wait(&mut self, millis_max: usize) {
        sleep(Duration::from_millis(self.dice.below(millis_max) as u64));
    }

    /// Comes once each node that is here takes messages.
    #[track_caller]
    fn goes_on(&self) {
        for node in self.nodes.all() {
            let takes = || {
                let body = br#"{"content": "on", "from": "pulse"}"#;
                let target = "/api/rooms/pulse/messages";
                send(node.address(), "POST", target, "", body).status == 200
            };
            assert!(holds_within(GOES_ON_MAX, takes), "{}", self.nodes.told());
        }
    }

    /// What the checker has found: its report.
    #[track_caller]
    fn finish(mut self) -> String {
        let is_clean = self.verify.finish(END_MAX);
        let report = self.verify.report();
        println!("{report}");
        assert_eq!(is_clean, Some(true), "{report}");
        report
    }
}

/// A line of the report's figures.
#[track_caller]
fn figure(report: &str, name: &str) -> u64 {
    let line = report
        .lines()
        .find_map(|line| line.trim().strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().next());
    let figure = figure.map(|figure| figure.replace(',', ""));
    figure
        .and_then(|figure| figure.parse().ok())
        .unwrap_or_else(|| panic!("{name}: {report}"))
}

#[test]
fn nothing_is_lost_by_a_nats_that_is_killed_and_comes_back_whole() {
    let mut campaign = Campaign::start(&["--nats-trust-restarts"], &[]);
    for _ in 0..campaign.rounds {
        campaign.wait(1500);
        campaign.nats.kill();
        campaign.wait(2500);
        campaign.nats.come_back();
        campaign.goes_on();
    }
    let report = campaign.finish();
    assert_eq!(figure(&report, "gaps"), 0, "{report}");
}

#[test]
fn nothing_is_lost_by_a_nats_that_is_held_still() {
    let seconds = number_from("TIDEWIRE_STOPPED_SECONDS", 7) as u64;
    let mut campaign = Campaign::start(&["--nats-trust-restarts"], &[]);
    for _ in 0..campaign.rounds.div_ceil(2) {
        campaign.wait(1500);
        campaign.nats.pause();
        sleep(Duration::from_secs(seconds));
        campaign.nats.resume();
        campaign.goes_on();
    }
    let report = campaign.finish();
    assert_eq!(figure(&report, "gaps"), 0, "{report}");
}

#[test]
fn what_an_empty_nats_has_lost_is_told() {
    let mut campaign = Campaign::start(&["--nats-trust-restarts"], &["--allow-gaps"]);
    for _ in 0..campaign.rounds {
        campaign.wait(1500);
        campaign.nats.kill_and_empty();
        campaign.wait(1000);
        campaign.nats.come_back();
        campaign.goes_on();
    }
    let report = campaign.finish();
    assert!(figure(&report, "gaps") > 0, "{report}");
}

#[test]
fn where_restarts_are_not_trusted_each_of_them_is_told() {
    let mut campaign = Campaign::start(&[], &["--allow-gaps"]);
    for _ in 0..campaign.rounds {
        campaign.wait(1500);
        campaign.nats.kill();
        campaign.nats.come_back();
        campaign.goes_on();
    }
    let report = campaign.finish();
    assert!(figure(&report, "gaps") > 0, "{report}");
}

#[test]
fn clients_of_a_node_that_is_killed_go_on_elsewhere() {
    let mut campaign = Campaign::start(&["--nats-trust-restarts"], &[]);
    for round in 0..2 * campaign.rounds {
        campaign.wait(1000);
        campaign.nodes.kill(round % NODES);
        campaign.goes_on();
        campaign.nodes.come_back(round % NODES);
        campaign.nodes.all().for_each(Server::wait_until_ready);
    }
    let report = campaign.finish();
    assert_eq!(figure(&report, "gaps"), 0, "{report}");
}
