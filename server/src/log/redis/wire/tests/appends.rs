//! Appending: offsets, keys, announcements, retention.

use redis::Value;

use super::*;
use crate::log::redis::Failure;
use crate::log::redis::wire::{Appends, Errand, Heard, Naming};

#[test]
fn messages_of_a_batch_get_dense_offsets_in_their_own_logs() {
    let server = RedisServer::start();
    let mut link = server.link();
    // Another log of the same bucket.
    let bucket = Bucket::of(&log("a"));
    let numbers = 0..;
    let mut names = numbers.map(|number: u32| format!("b{number}"));
    let other = names.find(|name| Bucket::of(&log(name)) == bucket).unwrap();
    let run = link.opened("a", Trust::Whole);
    let batch = [
        ("a", "1"),
        (&other, "1"),
        ("a", "2"),
        ("a", ""),
        (&other, ""),
    ];
    let batch = batch.map(|(name, seq)| message(name, seq, "1"));
    let places = link.append(run, EPOCH, batch.to_vec());
    let expected = [1, 1, 2, 3, 2].map(|offset| Appended::At(at(EPOCH, offset)));
    assert_eq!(places, expected);
    // The epoch is for the first of a log.
    let places = link.append(run, Epoch::new(5), vec![message("a", "", "1")]);
    assert_eq!(places, [Appended::At(at(EPOCH, 4))]);
    assert_eq!(link.head("a"), Some(at(EPOCH, 4)));
    assert_eq!(link.head(&other), Some(at(EPOCH, 2)));
    assert_eq!(link.head("nothing"), None);
}

#[test]
fn an_entry_is_what_was_sent() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    let mut sent = Vec::new();
    for (seq, content) in [
        ("\"ü \\u0000\"", "{\"text\": \"hi\\n\", \"n\": 1e400}"),
        ("", "null"),
        ("-0", "\"\u{1f30a} \u{2028}\""),
    ] {
        let mut stored = message("a", seq, content);
        stored.draft.from = UserName::new("$server").unwrap();
        stored.draft.session = Session::new("ä b").unwrap();
        sent.push(stored.draft.clone());
        link.append(run, EPOCH, vec![stored]);
    }
    let page = link.page("a", From::Oldest, PAGE);
    let drafts = sent
        .into_iter()
        .zip(1..)
        .map(|(draft, offset)| crate::log::Entry {
            position: at(EPOCH, offset),
            draft,
        });
    assert_eq!(page.entries, drafts.collect::<Vec<_>>());
}

#[test]
fn a_key_is_appended_once_in_a_batch_and_later() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    let first = message("a", "1", "1");
    let time = first.draft.time;
    let batch = vec![
        first,
        message("a", "2", "2"),
        message("a", "1", "3"),
        message("a", "3", "4"),
    ];
    let before = |offset| Appended::Before {
        position: at(EPOCH, offset),
        time,
    };
    let placed = |offset| Appended::At(at(EPOCH, offset));
    let places = link.append(run, EPOCH, batch);
    assert_eq!(places, [placed(1), placed(2), before(1), placed(3)]);
    let mut other_session = message("a", "1", "5");
    other_session.draft.session = Session::new("t").unwrap();
    let batch = vec![message("a", "1", "1"), other_session, message("a", "", "6")];
    let places = link.append(run, EPOCH, batch);
    assert_eq!(places, [before(1), placed(4), placed(5)]);
    // A log that nothing came to is not announced, and its head stays.
    assert_eq!(
        link.append(run, EPOCH, vec![message("a", "1", "1")]),
        [before(1)]
    );
    assert_eq!(link.head("a"), Some(at(EPOCH, 5)));
}

#[test]
fn keys_last_as_long_as_their_entries_and_go_some_time_after_them() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    let retention = keeps(300, Duration::from_secs(3600), 1 << 30);
    let batch = |numbers: std::ops::Range<u32>| {
        let of = |number: u32| Stored {
            retention,
            ..message("a", &number.to_string(), "1")
        };
        numbers.map(of).collect::<Vec<_>>()
    };
    for begin in (0..2000).step_by(100) {
        let places = link.append(run, EPOCH, batch(begin..begin + 100));
        assert!(places.iter().all(|place| matches!(place, Appended::At(_))));
        // The newest 300 are found each.
        let from = (begin + 100_u32).saturating_sub(300);
        let again = link.append(run, EPOCH, batch(from..begin + 100));
        let offsets = again.iter().map(|place| match place {
            Appended::Before { position, .. } => position.offset,
            other => panic!("{other:?}"),
        });
        assert!(offsets.eq(u64::from(from) + 1..=u64::from(begin) + 100));
    }
    // Of an entry that is gone, nothing is known.
    let places = link.append(run, EPOCH, batch(0..1));
    assert_eq!(places, [Appended::At(at(EPOCH, 2001))]);
    // Each entry has two fields, and the log one.
    match link.call(&["HLEN", &link.naming.log(&log("a"))]) {
        Value::Int(length) => assert!((601..=729).contains(&length), "{length}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_log_is_announced_once_for_a_batch_with_its_head() {
    let server = RedisServer::start();
    let (mut link, mut ear) = (server.link(), server.link());
    let run = link.opened("a", Trust::Whole);
    let logs = [log("a"), LogName::canary()];
    assert_eq!(
        heard_first(&mut ear, &Errand::Subscribe(&logs)),
        Heard::Subscribed(log("a"))
    );
    assert_eq!(ear.heard(), Heard::Subscribed(LogName::canary()));
    let batch = (0..5).map(|_| message("a", "", "1")).collect();
    link.append(run, EPOCH, batch);
    let announced = Heard::Announced {
        log: log("a"),
        head: at(EPOCH, 5),
    };
    assert_eq!(ear.heard(), announced);
    assert_eq!(heard_first(&mut ear, &Errand::Ping), Heard::Pong);
    let unsubscribed = Heard::Unsubscribed(log("a"));
    assert_eq!(
        heard_first(&mut ear, &Errand::Unsubscribe(&logs)),
        unsubscribed
    );
}

fn heard_first(ear: &mut Link, errand: &Errand<'_>) -> Heard {
    let reply = ear.errand(errand);
    crate::log::redis::wire::heard(&reply, &ear.naming)
}

#[test]
fn nodes_have_canaries_of_their_own_that_go_soon() {
    let server = RedisServer::start();
    let (mut one, mut two) = (server.link_of("n1"), server.link_of("n2"));
    let bucket = Bucket::of(&LogName::canary());
    let run = one.greet(bucket, true).number;
    one.open(bucket, run, Trust::Whole);
    for link in [&mut one, &mut two] {
        let mut canary = message("a", "1", "1");
        canary.draft.log = LogName::canary();
        let places = link.append(run, EPOCH, vec![canary]);
        assert_eq!(places, [Appended::At(at(EPOCH, 1))]);
        let stream = link.naming.log(&LogName::canary());
        match link.call(&["PTTL", &stream]) {
            Value::Int(ttl) => assert!((1..=63_750).contains(&ttl), "{ttl}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn history_has_no_more_entries_than_are_kept_and_delivery_somewhat_more() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    for entries_max in [10, 0] {
        let of = |_| Stored {
            retention: keeps(entries_max, Duration::from_secs(3600), 1 << 30),
            ..message("a", "", "1")
        };
        for _ in 0..20 {
            link.append(run, EPOCH, (0..50).map(of).collect());
        }
        let head = link.head("a").unwrap().offset;
        let shown: Vec<u64> = (head - entries_max + 1..=head).collect();
        let page = link.page("a", From::Oldest, PAGE);
        assert_eq!(
            (offsets(&page), page.oldest),
            (shown.clone(), head - entries_max + 1)
        );
        let page = link.page("a", From::Before(None), PAGE);
        assert_eq!((offsets(&page), page.more), (shown, false));
        let page = link.page("a", From::Behind(head - 200), PAGE);
        assert_eq!(offsets(&page).len(), 200);
        assert!(
            (head - 500..head - 200).contains(&page.oldest),
            "{}",
            page.oldest
        );
    }
}

#[test]
fn old_entries_and_too_many_bytes_go() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    let hour = Duration::from_secs(3600);
    let of_age = |hours: u64| {
        let mut stored = message("a", "", "1");
        stored.draft.time -= hours * 3_600_000;
        stored.retention = keeps(1000, 2 * hour, 1 << 30);
        stored
    };
    let ages = (0..64).map(|nth| of_age(if nth < 40 { 3 } else { 1 }));
    link.append(run, EPOCH, ages.collect());
    let page = link.page("a", From::Oldest, PAGE);
    assert_eq!((page.oldest, offsets(&page).len()), (41, 24));

    let content = format!("\"{}\"", "x".repeat(1000));
    for _ in 0..20 {
        let of = |_| Stored {
            retention: keeps(10_000, hour, 200_000),
            ..message("a", "", &content)
        };
        link.append(run, EPOCH, (0..50).map(of).collect());
    }
    let kept = offsets(&link.page("a", From::Oldest, PAGE)).len();
    assert!((100..=300).contains(&kept), "{kept}");
}

#[test]
fn a_silent_log_goes_by_itself_and_its_offsets_go_on() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    link.append(
        run,
        EPOCH,
        vec![message("a", "1", "1"), message("a", "2", "2")],
    );
    let key = link.naming.log(&log("a"));
    match link.call(&["PTTL", &key]) {
        Value::Int(ttl) => assert!((7 * 86_400_000..8 * 86_400_000).contains(&ttl), "{ttl}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(link.call(&["PEXPIRE", &key, "0"]), Value::Int(1));
    // That is later than the time at which it is to be renewed.
    let heads = link.naming.heads(Bucket::of(&log("a")));
    let renew = "local record = redis.call('HGET', KEYS[1], ARGV[1]) return redis.call('HSET', KEYS[1], ARGV[1], \
        string.sub(record, 1, 25) .. string.rep(string.char(0), 8) .. string.sub(record, 34))";
    let renewed = link.call(&["EVAL", renew, "1", &heads, &key]);
    assert_eq!(renewed, Value::Int(0));
    let page = link.page("a", From::Oldest, PAGE);
    assert_eq!((page.oldest, page.head, page.entries.len()), (3, 2, 0));
    let places = link.append(run, Epoch::new(5), vec![message("a", "1", "3")]);
    assert_eq!(places, [Appended::At(at(EPOCH, 3))]);
    assert_eq!(offsets(&link.page("a", From::Behind(0), PAGE)), [3]);
}

#[test]
fn a_log_that_somebody_has_deleted_is_found_out_and_nobody_misses_that() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    link.append(
        run,
        EPOCH,
        vec![message("a", "1", "1"), message("a", "2", "2")],
    );
    let key = link.naming.log(&log("a"));
    assert_eq!(link.call(&["DEL", &key]), Value::Int(1));
    for number in 3..=70 {
        let place = link.append(run, EPOCH, vec![message("a", &number.to_string(), "1")]);
        assert_eq!(place, [Appended::At(at(EPOCH, number))]);
        let page = link.page("a", From::Behind(number - 1), PAGE);
        assert_eq!(page.head, number);
        // What is not shown is said to be gone.
        let shown = offsets(&page);
        assert!(shown == [number] || page.oldest == number + 1, "{page:?}");
        assert_eq!(shown == [number], number >= 64, "{page:?}");
    }
    match link.call(&["PTTL", &key]) {
        Value::Int(ttl) => assert!(ttl > 0, "{ttl}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_many_logs_are_refused_until_some_have_nothing_left() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    link.append(run, EPOCH, vec![message("a", "", "1")]);
    let bucket = Bucket::of(&log("a"));
    let (heads, key) = (link.naming.heads(bucket), link.naming.log(&log("a")));
    let base = key.strip_suffix('a').unwrap().to_owned();
    // As many as there may be, with their entries.
    let fill = "local own = redis.call('HGET', KEYS[1], ARGV[2]) for i = 1, 65535 do \
        redis.call('HSET', KEYS[1], ARGV[1] .. 'f' .. i, own) \
        redis.call('HSET', ARGV[1] .. 'f' .. i, '', '1') end return 'done'";
    let done = Value::BulkString(b"done".to_vec());
    assert_eq!(link.call(&["EVAL", fill, "1", &heads, &base, &key]), done);
    let numbers = 0..;
    let mut names = numbers.map(|number: u32| format!("g{number}"));
    let other = names.find(|name| Bucket::of(&log(name)) == bucket).unwrap();
    let batch = vec![
        message(&other, "", "1"),
        message("a", "", "2"),
        message(&other, "", "3"),
    ];
    let places = link.append(run, EPOCH, batch);
    let full = Appended::LogsFull;
    assert_eq!(places, [full, Appended::At(at(EPOCH, 2)), full]);
    let empty = "for i = 1, 65535 do redis.call('DEL', ARGV[1] .. 'f' .. i) end return 'done'";
    assert_eq!(link.call(&["EVAL", empty, "1", &heads, &base]), done);
    let next = Epoch::new(78);
    let places = link.append(run, next, vec![message(&other, "", "1")]);
    assert_eq!(places, [Appended::At(at(next, 1))]);
    assert_eq!(link.head("a"), Some(at(EPOCH, 2)));
}

/// A message for each of these logs, in one command for each bucket.
fn commands(runs: &[(&str, u64)], seq: &str) -> Vec<Command> {
    let append = |&(name, run): &(&str, u64)| Command::Append {
        bucket: Bucket::of(&log(name)),
        run,
        epoch: EPOCH,
        messages: vec![message(name, seq, "1"), message(name, "", "2")],
    };
    runs.iter().map(append).collect()
}

/// Names of logs of different buckets.
const APART: [&str; 3] = ["a", "b", "c"];

#[test]
fn buckets_of_one_server_share_a_call_and_each_has_an_answer_of_its_own() {
    let server = RedisServer::start();
    let mut link = server.link();
    let mut runs = APART.map(|name| (name, link.opened(name, Trust::Whole)));
    assert_ne!(Bucket::of(&log("a")), Bucket::of(&log("b")));
    let (calls, answers) = link.ask_together(&commands(&runs, "1"));
    assert_eq!((calls, answers.len()), (1, 3));
    for answer in answers {
        let Answer::Appended(places) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(places, [1, 2].map(|offset| Appended::At(at(EPOCH, offset))));
    }
    // One that is of another run, and one that is no log, and the same bucket once more behind them.
    runs[1].1 += 1;
    let third = link.naming.log(&log("c"));
    assert_eq!(link.call(&["DEL", &third]), Value::Int(1));
    assert_eq!(link.call(&["SET", &third, "text"]), Value::Okay);
    let (calls, answers) = link.ask_together(&commands(&[runs[0], runs[1], runs[2], runs[0]], "2"));
    assert_eq!((calls, answers.len()), (1, 4));
    assert!(
        matches!(&answers[0], Answer::Appended(places) if *places == [3, 4].map(|offset| Appended::At(at(EPOCH, offset)))),
        "{answers:?}"
    );
    assert!(
        matches!(&answers[1], Answer::Failed(Failure::Stale)),
        "{answers:?}"
    );
    assert!(
        matches!(&answers[2], Answer::Failed(Failure::Refused(what)) if what.starts_with("WRONGTYPE")),
        "{answers:?}"
    );
    let Answer::Appended(places) = &answers[3] else {
        panic!("{answers:?}");
    };
    assert!(
        matches!(places[..], [Appended::Before { position, .. }, Appended::At(last)]
            if position == at(EPOCH, 3) && last == at(EPOCH, 5)),
        "{places:?}"
    );
    assert_eq!(link.head("b"), Some(at(EPOCH, 2)));
    assert_eq!(link.head("c"), Some(at(EPOCH, 2)));
}

#[test]
fn in_a_cluster_only_what_is_of_one_bucket_shares_a_call() {
    let server = RedisServer::start();
    let mut link = server.link();
    let runs = APART.map(|name| (name, link.opened(name, Trust::Whole)));
    link.naming.sharded = true;
    let commands = commands(&[runs[0], runs[0], runs[1], runs[2]], "");
    assert_eq!(link.ask_together(&commands).0, 3);
}

#[test]
fn a_call_takes_so_many_messages_and_so_many_bytes() {
    let naming = Naming {
        prefix: "tw:".to_owned(),
        node: "n1".to_owned(),
        sharded: false,
    };
    let of = |count: usize, content: &str| Command::Append {
        bucket: Bucket::of(&log("a")),
        run: 1,
        epoch: EPOCH,
        messages: (0..count).map(|_| message("a", "", content)).collect(),
    };
    let mut call = Appends::default();
    // One command is taken however large it is.
    assert!(call.has_room_for(&of(1000, "1"), &naming));
    call.add(&of(500, "1"), &naming);
    assert!(call.has_room_for(&of(12, "1"), &naming));
    assert!(!call.has_room_for(&of(13, "1"), &naming));
    let mut call = Appends::default();
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    call.add(&of(1, &large), &naming);
    assert!(!call.has_room_for(&of(1, "1"), &naming));
    let heads = Command::Heads {
        bucket: Bucket::of(&log("a")),
        logs: Vec::new(),
    };
    assert!(!Appends::default().has_room_for(&heads, &naming));
}

#[test]
fn a_log_of_another_version_is_refused_and_left_as_it_is() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    link.append(run, EPOCH, vec![message("a", "", "1")]);
    let (heads, key) = (
        link.naming.heads(Bucket::of(&log("a"))),
        link.naming.log(&log("a")),
    );
    let record = format!("\u{1}{}", "x".repeat(80));
    assert_eq!(link.call(&["HSET", &heads, &key, &record]), Value::Int(0));
    let is_refused = |answer: &Answer| matches!(answer, Answer::Failed(Failure::Refused(what)) if what.starts_with("VERSION"));
    let append = commands(&[("a", run)], "1").remove(0);
    let page = Command::Page {
        log: log("a"),
        from: From::Oldest,
        max: PAGE,
        epoch: EPOCH,
    };
    for command in [append, page] {
        let answer = link.ask(&command);
        assert!(is_refused(&answer), "{answer:?}");
    }
    let kept = link.call(&["HGET", &heads, &key]);
    assert_eq!(kept, Value::BulkString(record.into_bytes()));
    assert_eq!(link.call(&["HLEN", &key]), Value::Int(2));
}

#[test]
fn records_and_logs_are_tables_from_the_first() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    link.append(run, EPOCH, vec![message("a", "1", "1")]);
    let bucket = Bucket::of(&log("a"));
    for key in [link.naming.heads(bucket), link.naming.log(&log("a"))] {
        let encoding = link.call(&["OBJECT", "ENCODING", &key]);
        assert_eq!(encoding, Value::BulkString(b"hashtable".to_vec()), "{key}");
    }
}

#[test]
fn a_rule_that_keeps_less_lets_go_of_much_in_some_calls() {
    let server = RedisServer::start();
    let mut link = server.link();
    let run = link.opened("a", Trust::Whole);
    let batch = |count: usize, entries_max| {
        let of = |_| Stored {
            retention: keeps(entries_max, Duration::from_secs(3600), 1 << 30),
            ..message("a", "", "1")
        };
        (0..count).map(of).collect::<Vec<_>>()
    };
    for _ in 0..10 {
        link.append(run, EPOCH, batch(1000, 100_000));
    }
    let length = |link: &mut Link| {
        let key = link.naming.log(&log("a"));
        match link.call(&["HLEN", &key]) {
            Value::Int(length) => length,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(length(&mut link), 10_001);
    let mut before = 10_001;
    while length(&mut link) > 600 {
        link.append(run, EPOCH, batch(64, 300));
        let now = length(&mut link);
        assert!((1..3000).contains(&(before - now)), "{before} {now}");
        before = now;
    }
    let page = link.page("a", From::Behind(0), PAGE);
    assert_eq!(page.entries.first().unwrap().position.offset, page.oldest);
    assert_eq!(offsets(&page).len() as i64, length(&mut link) - 1);
}

#[test]
fn what_redis_refuses_is_told_by_its_kind() {
    let server = RedisServer::start();
    let mut link = server.link();
    let bucket = Bucket::of(&log("a"));
    let append = |run| Command::Append {
        bucket,
        run,
        epoch: EPOCH,
        messages: vec![message("a", "1", "1")],
    };
    let failure = |link: &mut Link, run| match link.ask(&append(run)) {
        Answer::Failed(failure) => failure,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure(&mut link, 1), Failure::Stale);
    let run = link.opened("a", Trust::Whole);
    assert_eq!(failure(&mut link, run + 1), Failure::Stale);
    let set = |link: &mut Link, words: &[&str]| assert_eq!(link.call(words), Value::Okay);
    set(&mut link, &["CONFIG", "SET", "maxmemory", "1"]);
    let unable = |failure| matches!(failure, Failure::Unable(what) if what.starts_with("OOM"));
    assert!(unable(failure(&mut link, run)));
    set(&mut link, &["CONFIG", "SET", "maxmemory", "0"]);
    set(&mut link, &["REPLICAOF", "127.0.0.1", "1"]);
    let unable = |failure| matches!(failure, Failure::Unable(what) if what.starts_with("READONLY"));
    assert!(unable(failure(&mut link, run)));
    set(&mut link, &["REPLICAOF", "NO", "ONE"]);
    assert!(link.process().was_replica);
    set(&mut link, &["SCRIPT", "FLUSH"]);
    assert_eq!(failure(&mut link, run), Failure::NoScript);
    // Nothing of all that is in the log.
    assert_eq!(link.head("a"), None);
}
