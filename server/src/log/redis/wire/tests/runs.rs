//! What Redis loses when it is restarted, and what becomes of logs then.

use redis::Value;

use super::*;
use crate::log::redis::Failure;
use crate::log::redis::wire::{Errand, Heard, heard, setup};

const NEXT: Epoch = Epoch::new(88);

fn three(link: &mut Link, run: u64) {
    let messages = (1..=3).map(|seq: u32| message("a", &seq.to_string(), "1"));
    link.append(run, EPOCH, messages.collect());
}

fn bucket() -> Bucket {
    Bucket::of(&log("a"))
}

#[test]
fn a_run_takes_nothing_before_it_is_opened_and_the_first_word_counts() {
    let server = RedisServer::start();
    let mut link = server.link();
    let pending = Run {
        number: 1,
        state: RunState::Pending,
    };
    assert_eq!(link.greet(bucket(), true), pending);
    assert_eq!(link.greet(bucket(), true), pending);
    let append = Command::Append {
        bucket: bucket(),
        run: 1,
        epoch: EPOCH,
        messages: vec![message("a", "", "1")],
    };
    assert!(matches!(link.ask(&append), Answer::Failed(Failure::Stale)));
    let open = Run {
        number: 1,
        state: RunState::Open(Trust::Whole),
    };
    assert_eq!(link.open(bucket(), 1, Trust::Whole), open);
    assert_eq!(link.open(bucket(), 1, Trust::Doubtful), open);
    assert_eq!(link.greet(bucket(), true), open);
    for run in [0, 2] {
        let trust = Trust::Whole;
        let bucket = bucket();
        let stale = link.ask(&Command::Open { bucket, run, trust });
        assert!(matches!(stale, Answer::Failed(Failure::Stale)), "{stale:?}");
    }
}

#[test]
fn redis_that_saved_each_message_goes_on_as_if_nothing_had_been() {
    let mut server = RedisServer::saving();
    let mut link = server.link();
    let config = link.errand(&Errand::Config);
    assert!(setup::saves_always(&config));
    let run = link.opened("a", Trust::Whole);
    three(&mut link, run);
    server.kill_and_restart();
    let mut link = server.link();
    assert_eq!(link.greet(bucket(), true).number, run + 1);
    assert!(link.vouch(run + 1, "a", at(EPOCH, 3), NEXT).is_empty());
    let open = link.open(bucket(), run + 1, Trust::Whole);
    assert_eq!(open.state, RunState::Open(Trust::Whole));
    let places = link.append(
        run + 1,
        NEXT,
        vec![message("a", "2", "1"), message("a", "4", "1")],
    );
    assert!(
        matches!(places[0], Appended::Before { position, .. } if position == at(EPOCH, 2)),
        "{places:?}"
    );
    assert_eq!(places[1], Appended::At(at(EPOCH, 4)));
    assert_eq!(link.page("a", From::Oldest, PAGE).eras, [(1, EPOCH)]);
}

#[test]
fn redis_that_does_not_save_each_message_is_doubted() {
    let mut server = RedisServer::saving();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    three(&mut link, run);
    // It was not one that saves always when those were written, or is none now, or somebody is missing.
    let cases = [
        (false, Trust::Whole),
        (true, Trust::Whole),
        (true, Trust::Doubtful),
    ];
    for (nth, (saves_always, trust)) in (1..).zip(cases) {
        server.kill_and_restart();
        link = server.link();
        let run = link.greet(bucket(), saves_always).number;
        let head = link.head("a").unwrap();
        assert!(link.vouch(run, "a", head, NEXT).is_empty());
        let open = link.open(bucket(), run, trust);
        assert_eq!(open.state, RunState::Open(Trust::Doubtful));
        let epoch = Epoch::new(1000 + nth);
        let places = link.append(
            run,
            epoch,
            vec![message("a", "", "1"), message("a", "", "2")],
        );
        let first = head.offset + 1;
        let expected = [first, first + 1].map(|offset| Appended::At(at(epoch, offset)));
        assert_eq!(places, expected);
    }
    let eras = link.page("a", From::Oldest, PAGE).eras;
    let at = |first, epoch| (first, Epoch::new(epoch));
    assert_eq!(eras, [at(1, 77), at(4, 1001), at(6, 1002), at(8, 1003)]);
}

#[test]
fn what_an_old_snapshot_has_lost_is_told_once_and_no_place_is_used_again() {
    let mut server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    three(&mut link, run);
    let snapshot = server.snapshot();
    let lost = vec![message("a", "4", "1"), message("a", "5", "1")];
    link.append(run, EPOCH, lost);
    server.kill_and_restart_from(Some(snapshot));
    let (mut link, mut ear) = (server.link(), server.link());
    let confirmed = ear.errand(&Errand::Subscribe(&[log("a")]));
    assert_eq!(heard(&confirmed, &ear.naming), Heard::Subscribed(log("a")));
    let run = link.greet(bucket(), true).number;
    // One saw less, one saw more; who comes later finds the new era there.
    assert!(link.vouch(run, "a", at(EPOCH, 2), NEXT).is_empty());
    assert_eq!(link.vouch(run, "a", at(EPOCH, 4), NEXT), [log("a")]);
    assert_eq!(ear.heard(), Heard::Broken(log("a")));
    let later = Epoch::new(99);
    assert_eq!(link.vouch(run, "a", at(EPOCH, 5), later), [log("a")]);
    assert_eq!(
        link.vouch(run, "a", at(Epoch::new(1), 1), later),
        [log("a")]
    );
    assert_eq!(link.head("a"), Some(at(NEXT, 3)));
    link.open(bucket(), run, Trust::Whole);
    // Sent again, what was lost is new.
    let places = link.append(
        run,
        later,
        vec![message("a", "3", "1"), message("a", "4", "1")],
    );
    assert!(matches!(places[0], Appended::Before { position, .. } if position == at(EPOCH, 3)));
    let new = places[1];
    let Appended::At(position) = new else {
        panic!("{new:?}");
    };
    assert_eq!(position.offset, 4);
    assert_ne!(position.epoch, EPOCH);
    assert_eq!(
        ear.heard(),
        Heard::Announced {
            log: log("a"),
            head: position
        }
    );
    let page = link.page("a", From::Behind(2), PAGE);
    assert_eq!(offsets(&page), [3, 4]);
    assert_eq!(page.entries[0].position.epoch, EPOCH);
    assert_eq!(page.entries[1].position, position);
    assert!(page.eras.contains(&(4, NEXT)), "{page:?}");
}

#[test]
fn an_empty_redis_begins_other_logs() {
    let mut server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    three(&mut link, run);
    server.kill_and_restart_from(None);
    let mut link = server.link();
    let run = link.greet(bucket(), true).number;
    assert_eq!(run, 1);
    // Of a log that was empty, nothing can be lost.
    assert!(link.vouch(run, "a", at(EPOCH, 0), NEXT).is_empty());
    assert_eq!(link.vouch(run, "a", at(EPOCH, 3), NEXT), [log("a")]);
    link.open(bucket(), run, Trust::Whole);
    let places = link.append(run, EPOCH, vec![message("a", "1", "1")]);
    assert_eq!(places, [Appended::At(at(NEXT, 1))]);
}

#[test]
fn a_redis_that_was_flushed_is_greeted_again() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    three(&mut link, run);
    assert_eq!(link.call(&["FLUSHALL"]), Value::Okay);
    let append = Command::Append {
        bucket: bucket(),
        run,
        epoch: NEXT,
        messages: vec![message("a", "1", "1")],
    };
    assert!(matches!(link.ask(&append), Answer::Failed(Failure::Stale)));
    let run = link.opened("a", Trust::Whole);
    let places = link.append(run, NEXT, vec![message("a", "1", "1")]);
    assert_eq!(places, [Appended::At(at(NEXT, 1))]);
    // A node that is late does not break what has begun since.
    assert_eq!(
        link.vouch(run, "a", at(EPOCH, 3), Epoch::new(99)),
        [log("a")]
    );
    assert_eq!(link.head("a"), Some(at(NEXT, 1)));
}

#[test]
fn eras_are_remembered_and_what_is_of_forgotten_ones_is_not_shown() {
    const ERAS: u32 = 256;
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    three(&mut link, run);
    let marks = vec![(log("a"), at(EPOCH, 2))];
    link.ask(&Command::Mark {
        bucket: bucket(),
        marks,
    });
    let epoch_of = |number| Epoch::new(1000 + number);
    for number in 0..ERAS + 4 {
        let greet = Command::Greet {
            bucket: bucket(),
            run_id: format!("other-{number}"),
            saves_always: true,
        };
        let run = link.run_of(&greet).number;
        link.open(bucket(), run, Trust::Doubtful);
        let epoch = epoch_of(number);
        let places = link.append(run, epoch, vec![message("a", "", "1")]);
        assert_eq!(places, [Appended::At(at(epoch, 4 + u64::from(number)))]);
        if number + 2 == ERAS {
            // The first one is remembered just so.
            let page = link.page("a", From::Mark, PAGE);
            assert_eq!((page.oldest, page.eras.len()), (1, ERAS as usize));
            assert_eq!(page.entries.first().unwrap().position, at(EPOCH, 3));
        }
    }
    let page = link.page("a", From::Mark, PAGE);
    assert_eq!(page.eras.len(), ERAS as usize);
    // Who reads on from what it was shown is always in an era that is known, and comes to the end.
    let first = at(epoch_of(4), 8);
    assert_eq!((page.eras[0], page.oldest), ((8, first.epoch), 8));
    assert_eq!(page.entries.first().unwrap().position, first);
    for from in [From::Oldest, From::Behind(0), From::Behind(2)] {
        let page = link.page("a", from, PAGE);
        assert_eq!(page.entries.first().unwrap().position, first, "{from:?}");
    }
    // A mark of a newer era is newer.
    let newest = at(epoch_of(ERAS + 3), 7 + u64::from(ERAS));
    let marks = vec![(log("a"), newest)];
    link.ask(&Command::Mark {
        bucket: bucket(),
        marks,
    });
    assert_eq!(link.page("a", From::Head, PAGE).mark, Some(newest));
}
