//! A cluster: each bucket is with one of its primaries.

use super::server::RedisCluster;
use super::*;
use crate::log::redis::Failure;
use crate::log::redis::wire::{Errand, Heard, heard, setup, slot};

#[test]
fn each_bucket_is_with_one_primary_and_the_others_say_which() {
    let cluster = RedisCluster::start();
    let mut links = cluster.links();
    let slots = setup::slots(&links[0].errand(&Errand::ClusterSlots)).unwrap();
    let mut counts = [0; 3];
    for bucket in Bucket::all() {
        let of = slot(links[0].naming.heads(bucket).as_bytes());
        let part = slots.iter().find(|part| (part.0..=part.1).contains(&of));
        let owner = &part.unwrap().2;
        for (link, port) in links.iter_mut().zip(&cluster.ports) {
            let greet = Command::Greet {
                bucket,
                run_id: "one".to_owned(),
                saves_always: true,
            };
            match link.ask(&greet) {
                Answer::Run(_) => assert_eq!(owner.port.to_string(), *port),
                Answer::Failed(Failure::Moved(place)) => assert_eq!(place, *owner),
                other => panic!("{other:?}"),
            }
        }
        let nth = cluster
            .ports
            .iter()
            .position(|port| *port == owner.port.to_string());
        counts[nth.unwrap()] += 1;
    }
    assert!(
        counts.iter().all(|count| (5..=6).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn all_that_is_asked_of_a_log_is_done_by_its_primary_and_announced_there() {
    let cluster = RedisCluster::start();
    let mut links = cluster.links();
    let bucket = Bucket::of(&log("a"));
    let greet = |run_id: &str| Command::Greet {
        bucket,
        run_id: run_id.to_owned(),
        saves_always: true,
    };
    let greet_first = greet("one");
    let place = links
        .iter_mut()
        .position(|link| matches!(link.ask(&greet_first), Answer::Run(_)));
    let place = place.unwrap();
    let mut link = links.swap_remove(place);
    let mut ear = cluster.nodes[place].link();
    ear.naming.sharded = true;
    let confirmed = ear.errand(&Errand::Subscribe(&[log("a")]));
    assert_eq!(heard(&confirmed, &ear.naming), Heard::Subscribed(log("a")));
    link.open(bucket, 1, Trust::Doubtful);
    let places = link.append(
        1,
        EPOCH,
        vec![message("a", "1", "1"), message("a", "2", "2")],
    );
    assert_eq!(places, [1, 2].map(|offset| Appended::At(at(EPOCH, offset))));
    let announced = Heard::Announced {
        log: log("a"),
        head: at(EPOCH, 2),
    };
    assert_eq!(ear.heard(), announced);
    assert_eq!(offsets(&link.page("a", From::Oldest, PAGE)), [1, 2]);
    let marks = vec![(log("a"), at(EPOCH, 1))];
    assert!(matches!(
        link.ask(&Command::Mark { bucket, marks }),
        Answer::Done
    ));
    link.run_of(&greet("two"));
    assert_eq!(link.vouch(2, "a", at(EPOCH, 9), Epoch::new(5)), [log("a")]);
    assert_eq!(ear.heard(), Heard::Broken(log("a")));
    assert_eq!(link.head("a"), Some(at(Epoch::new(5), 2)));
}
