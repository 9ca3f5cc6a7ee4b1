//! Connections come and go, nodes die, stand still and come back, the log is away, loses its tail, or has a note twice. Whatever
//! happens, each hub tells of each user's coming and going in turn, and in the end all agree.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{A_WHILE, Cluster};

const ROOMS: [&str; 3] = ["x", "y", "z"];

/// What may happen to the nodes and the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// They stand still, and the log is away; nothing is lost.
    Rough,
    /// Nodes die, and the log loses something.
    Foul,
}

fn random_client(cluster: &Cluster, node: usize, random: &mut StdRng) -> Option<u32> {
    let clients = &cluster.nodes[node].as_ref()?.clients;
    if clients.is_empty() {
        return None;
    }
    let index = random.random_range(0..clients.len());
    clients.keys().nth(index).copied()
}

/// Something that a client does.
fn live(cluster: &mut Cluster, node: usize, random: &mut StdRng) {
    let user = ["u0", "u1", "u2", "u3"][random.random_range(0..4)];
    let session = ["s0", "s1", "s2"][random.random_range(0..3)];
    let room = ROOMS[random.random_range(0..3)];
    let client = random_client(cluster, node, random);
    match (random.random_range(0..8), client) {
        (0 | 1, _) | (_, None) => {
            let rooms = &ROOMS[..random.random_range(0..3)];
            let session = random.random_bool(0.7).then_some(session);
            cluster.connect(node, user, session, rooms);
        }
        (2, Some(conn)) => cluster.hello(node, conn, session),
        (3 | 4, Some(conn)) => {
            let text = format!(r#"{{"type":"join_room","roomId":"{room}"}}"#);
            cluster.say(node, conn, &text);
        }
        (5, Some(conn)) => {
            let text = format!(r#"{{"type":"leave_room","roomId":"{room}"}}"#);
            cluster.say(node, conn, &text);
        }
        (what, Some(conn)) => cluster.disconnect(node, conn, what == 6),
    }
}

/// Something that befalls a node, or the log.
fn befall(cluster: &mut Cluster, node: usize, weather: Weather, random: &mut StdRng) {
    let seconds = random.random_range(1..40);
    match random.random_range(0..4) {
        0 => {
            let until = cluster.now + seconds * A_WHILE;
            cluster.node(node).stands_still_until = Some(until);
        }
        1 => cluster.is_away ^= true,
        // Its note is there, and it is told that it is not.
        2 => cluster.turn(node, |_| false),
        _ if weather == Weather::Rough => {}
        3 => match random.random_range(0..3) {
            0 => {
                cluster.kill(node);
                if random.random_bool(0.5) {
                    cluster.pass(seconds * A_WHILE);
                }
                cluster.start(node);
            }
            1 => {
                cluster.stop(node);
                cluster.start(node);
            }
            _ => lose_tail(cluster, random),
        },
        _ => {}
    }
}

/// The log loses its newest notes, or a node what it has not heard: who follows is told.
fn lose_tail(cluster: &mut Cluster, random: &mut StdRng) {
    let now = cluster.time();
    if random.random_bool(0.5) {
        let lost = random.random_range(0..=cluster.log.len().min(9));
        cluster.log.truncate(cluster.log.len() - lost);
    }
    for node in cluster.nodes.iter_mut().flatten() {
        node.heard = cluster.log.len();
        if node.follows {
            node.hub.begin_to_hear_nodes(now);
        }
    }
}

fn simulate(seed: u64, weather: Weather) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::new(3);
    for _ in 0..300 {
        let node = random.random_range(0..3);
        let stands_still = cluster.node(node).stands_still_until.is_some();
        if random.random_bool(0.1) {
            befall(&mut cluster, node, weather, &mut random);
        } else if !stands_still {
            live(&mut cluster, node, &mut random);
        }
        if random.random_bool(0.7) {
            let millis = random.random_range(0..1500);
            cluster.pass(Duration::from_millis(millis));
        }
    }
    cluster.is_away = false;
    cluster.pass(120 * A_WHILE);
    cluster.assert_all_agree(&ROOMS);
    if weather == Weather::Rough {
        cluster.assert_sessions_are_once();
    }
}

#[test]
fn whatever_is_late_all_agree_in_the_end_and_each_session_is_once() {
    (0..40).for_each(|seed| simulate(seed, Weather::Rough));
}

#[test]
fn whatever_is_lost_all_agree_in_the_end() {
    (100..140).for_each(|seed| simulate(seed, Weather::Foul));
}
