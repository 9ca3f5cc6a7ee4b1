//! Transcripts of conversations: these news and orders, exactly these messages on the screen and on the wire.

use std::time::{Duration, Instant};

use super::conversation::{Ask, Conversation, Order};
use super::show::Show;
use crate::client::{Begin, Content, End, Entry, Log, News};
use crate::log::{Epoch, Position};

struct Scene {
    conversation: Conversation,
    now: Instant,
}

impl Scene {
    /// In a room where nothing was said.
    fn open() -> Self {
        let mut scene = Self {
            conversation: Conversation::new("r", 0),
            now: Instant::now(),
        };
        let (leave, room, begin) = (None, "r".to_owned(), Begin::Now);
        assert_eq!(scene.asks(), [Ask::Enter { leave, room, begin }]);
        scene.conversation.entered(0);
        scene.come();
        scene.shows();
        scene
    }

    fn come(&mut self) {
        let user = "me".to_owned();
        self.hear(News::Opened { user });
        self.hear(News::Joined {
            room: 0,
            position: at(0),
            members: vec!["me".to_owned()],
        });
    }

    fn hear(&mut self, news: News) {
        self.conversation.hear(news, self.now);
    }

    fn lose(&mut self) {
        self.hear(News::Lost(End {
            code: 1006,
            reason: "gone".to_owned(),
        }));
    }

    fn say(&mut self, text: &str) {
        self.conversation
            .order(Order::Say(text.to_owned()), self.now);
    }

    fn ack(&mut self, seq: u64, offset: u64) {
        self.hear(News::Ack {
            seq,
            room: "r".to_owned(),
            position: at(offset),
            dup: false,
        });
    }

    fn refuse(&mut self, seq: u64, code: &str) {
        self.hear(News::Refused {
            seq,
            code: code.to_owned(),
            message: "No.".to_owned(),
        });
    }

    fn entry(&mut self, from: &str, offset: u64) {
        self.hear(News::Entry(0, entry(from, offset)));
    }

    fn asks(&mut self) -> Vec<Ask> {
        std::iter::from_fn(|| self.conversation.poll_ask()).collect()
    }

    fn shows(&mut self) -> Vec<Show> {
        std::iter::from_fn(|| self.conversation.poll_show()).collect()
    }

    /// The places of the messages that were shown.
    fn shown(&mut self) -> Vec<u64> {
        let place = |show| match show {
            Show::Entry(entry) => Some(entry.position.offset),
            _ => None,
        };
        self.shows().into_iter().filter_map(place).collect()
    }
}

fn at(offset: u64) -> Position {
    let epoch = Epoch::new(1);
    Position { epoch, offset }
}

fn entry(from: &str, offset: u64) -> Entry {
    Entry {
        log: Log::Room("r".to_owned()),
        position: at(offset),
        time: 1,
        from: from.to_owned(),
        content: Content::Text("x".to_owned()),
    }
}

fn said(seq: u64, text: &str) -> Ask {
    let text = text.to_owned();
    Ask::Say { room: 0, seq, text }
}

#[test]
fn messages_go_one_at_a_time_so_that_they_keep_their_order() {
    let mut scene = Scene::open();
    scene.say("a");
    scene.say("b");
    assert_eq!(scene.asks(), [said(1, "a")]);
    scene.refuse(1, "rate_limited");
    assert_eq!(scene.asks(), []);
    scene.now = scene.conversation.poll_timeout().unwrap();
    scene.conversation.handle_timeout(scene.now);
    assert_eq!(scene.asks(), [Ask::Resend(1)]);
    scene.ack(1, 1);
    assert_eq!(scene.asks(), [said(2, "b")]);
    assert!(!scene.conversation.is_done());
    scene.ack(2, 2);
    assert!(scene.conversation.is_done());
    assert_eq!((scene.conversation.kept(), scene.shows()), (2, vec![]));
}

#[test]
fn a_message_that_cannot_be_kept_for_now_is_sent_again_and_said_so_once() {
    let mut scene = Scene::open();
    scene.say("a");
    assert_eq!(scene.asks(), [said(1, "a")]);
    for _ in 0..2 {
        scene.refuse(1, "unavailable");
        scene.now = scene.conversation.poll_timeout().unwrap();
        scene.conversation.handle_timeout(scene.now);
        assert_eq!(scene.asks(), [Ask::Resend(1)]);
    }
    scene.ack(1, 1);
    assert!(scene.conversation.is_done());
    assert_eq!(scene.shows(), [Show::Delayed, Show::AllKept]);
}

#[test]
fn a_message_that_is_refused_for_good_says_so_and_the_next_one_goes() {
    let mut scene = Scene::open();
    scene.say("a");
    scene.say("b");
    scene.asks();
    scene.refuse(1, "storage_full");
    assert_eq!(scene.asks(), [Ask::Forget(1), said(2, "b")]);
    let (text, why) = ("a".to_owned(), "No".to_owned());
    assert_eq!(scene.shows(), [Show::NotKept { text, why }]);
    assert_eq!(scene.conversation.not_kept(), 1);
}

#[test]
fn a_message_that_no_server_takes_is_not_sent() {
    let mut scene = Scene::open();
    scene.say(&"x".repeat(64 << 10));
    assert_eq!(scene.asks(), []);
    assert!(matches!(scene.shows()[..], [Show::NotKept { .. }]));
    // What the server takes may be less.
    scene.say("a");
    scene.asks();
    scene.hear(News::Lost(End {
        code: 1009,
        reason: "too long".to_owned(),
    }));
    assert_eq!(scene.asks(), [Ask::Forget(1)]);
    assert_eq!(scene.conversation.not_kept(), 2);
}

#[test]
fn our_own_messages_are_not_shown_again_when_we_come_back() {
    let mut scene = Scene::open();
    scene.say("a");
    scene.ack(1, 2);
    scene.lose();
    scene.shows();
    scene.come();
    for (from, offset) in [("bob", 1), ("me", 2), ("bob", 3)] {
        scene.entry(from, offset);
    }
    assert_eq!(scene.shown(), [1, 3]);
}

#[test]
fn a_message_whose_ack_was_lost_is_held_until_it_is_known_whose_it_is() {
    for (place, shown_after) in [(2, vec![3]), (4, vec![2, 3])] {
        let mut scene = Scene::open();
        scene.say("a");
        scene.lose();
        scene.come();
        for (from, offset) in [("bob", 1), ("me", 2), ("bob", 3)] {
            scene.entry(from, offset);
        }
        assert_eq!(scene.shown(), [1]);
        scene.ack(1, place);
        assert_eq!(scene.shown(), shown_after, "ours was {place}");
        scene.entry("me", 5);
        assert_eq!(scene.shown(), [5], "from another device of ours");
    }
}

#[test]
fn a_message_that_came_twice_is_shown_once() {
    let mut scene = Scene::open();
    for offset in [1, 2, 2, 1, 3] {
        scene.entry("bob", offset);
    }
    assert_eq!(scene.shown(), [1, 2, 3]);
    let personal = |log: &Log, offset| {
        News::Personal(Entry {
            log: log.clone(),
            ..entry("bob", offset)
        })
    };
    for log in [Log::Private, Log::Broadcast] {
        for offset in [4, 5, 4, 5, 6] {
            scene.hear(personal(&log, offset));
        }
        assert_eq!(scene.shown(), [4, 5, 6], "{log:?}");
    }
    // Another epoch begins at 1 again.
    scene.hear(News::Entry(
        0,
        Entry {
            position: Position {
                epoch: Epoch::new(2),
                offset: 1,
            },
            ..entry("bob", 1)
        },
    ));
    assert_eq!(scene.shown(), [1]);
}

#[test]
fn a_lost_connection_is_told_once_with_what_waits() {
    let mut scene = Scene::open();
    scene.say("a");
    scene.say("b");
    scene.lose();
    scene.lose();
    let (reason, waiting) = ("gone".to_owned(), 2);
    assert_eq!(scene.shows(), [Show::Lost { reason, waiting }]);
    scene.say("c");
    assert_eq!(scene.shows(), [], "it is told already that messages wait");
    scene.come();
    assert_eq!(scene.shows(), [Show::Back]);
    for seq in 1..=3 {
        assert_eq!(scene.shows(), []);
        scene.ack(seq, seq);
    }
    assert_eq!(scene.shows(), [Show::AllKept]);
}

#[test]
fn a_message_that_is_typed_without_a_connection_says_that_it_waits() {
    let mut scene = Scene::open();
    scene.lose();
    scene.shows();
    scene.say("a");
    assert_eq!(scene.shows(), [Show::Waits]);
    scene.come();
    scene.ack(1, 1);
    assert_eq!(scene.shows(), [Show::Back, Show::AllKept]);
}

#[test]
fn messages_wait_until_we_are_in_the_room_and_private_ones_only_for_the_connection() {
    let mut scene = Scene::open();
    scene.lose();
    scene.conversation.order(
        Order::To {
            user: "bob".to_owned(),
            text: "p".to_owned(),
        },
        scene.now,
    );
    scene.say("a");
    assert_eq!(scene.asks(), []);
    let user = "me".to_owned();
    scene.hear(News::Opened { user });
    let (user, text) = ("bob".to_owned(), "p".to_owned());
    assert_eq!(scene.asks(), [Ask::SayTo { user, seq: 1, text }]);
    scene.ack(1, 1);
    assert_eq!(scene.asks(), []);
    scene.come();
    assert_eq!(scene.asks(), [said(2, "a")]);
}

#[test]
fn going_to_another_room_waits_for_what_was_said_in_this_one() {
    let mut scene = Scene::open();
    scene.say("a");
    scene
        .conversation
        .order(Order::Enter("q".to_owned()), scene.now);
    scene.say("b");
    assert_eq!(scene.asks(), [said(1, "a")]);
    scene.ack(1, 1);
    let (leave, room, begin) = (Some(0), "q".to_owned(), Begin::Now);
    assert_eq!(scene.asks(), [Ask::Enter { leave, room, begin }]);
    scene.conversation.entered(1);
    scene.entry("bob", 2);
    assert_eq!(scene.shown(), [0; 0], "that was the other room");
    scene.hear(News::Joined {
        room: 1,
        position: at(0),
        members: Vec::new(),
    });
    let (seq, text) = (2, "b".to_owned());
    assert_eq!(scene.asks(), [Ask::Say { room: 1, seq, text }]);
}

#[test]
fn the_messages_before_are_asked_for_page_by_page() {
    let mut scene = Scene::open();
    scene.entry("bob", 9);
    let ask = |offset| Ask::HistoryBefore {
        room: 0,
        before: at(offset),
        count: 2,
    };
    let page = |entries: Vec<Entry>| News::History {
        room: 0,
        position: at(8),
        entries,
        more: true,
    };
    scene.shows();
    // The room was empty when we came.
    scene.conversation.order(Order::History(2), scene.now);
    assert_eq!(scene.asks(), [ask(1)]);
    scene.hear(page(vec![entry("bob", 7), entry("me", 8)]));
    assert_eq!(scene.shown(), [7, 8], "also what we said ourselves");
    scene.conversation.order(Order::History(2), scene.now);
    assert_eq!(scene.asks(), [ask(7)]);
    scene.hear(page(Vec::new()));
    assert!(matches!(scene.shows()[..], [Show::Note(_)]));
    scene.entry("bob", 10);
    assert_eq!(scene.shown(), [10], "the present goes on where it was");
}

#[test]
fn the_page_on_entering_is_where_the_present_goes_on() {
    let mut conversation = Conversation::new("r", 2);
    conversation.entered(0);
    let mut scene = Scene {
        conversation,
        now: Instant::now() + Duration::from_secs(1),
    };
    scene.hear(News::Opened {
        user: "me".to_owned(),
    });
    scene.hear(News::History {
        room: 0,
        entries: vec![entry("me", 4), entry("bob", 5)],
        position: at(5),
        more: true,
    });
    scene.entry("bob", 5);
    scene.entry("bob", 6);
    assert_eq!(scene.shown(), [4, 5, 6]);
}

#[test]
fn a_room_that_cannot_be_entered_is_the_end_and_so_is_a_session_that_is_taken() {
    let denied = || News::Denied {
        code: "bad_name".to_owned(),
        message: "No.".to_owned(),
    };
    let mut conversation = Conversation::new("@r", 0);
    conversation.hear(denied(), Instant::now());
    assert_eq!(conversation.end(), Some("No."));
    let hurried = || News::Denied {
        code: "rate_limited".to_owned(),
        message: "Slow.".to_owned(),
    };
    let mut conversation = Conversation::new("r", 0);
    conversation.hear(hurried(), Instant::now());
    assert_eq!(conversation.end(), None, "the client asks again");
    let mut scene = Scene::open();
    scene.hear(hurried());
    assert_eq!(scene.shows(), [Show::Note("Slow.".to_owned())]);
    scene.hear(denied());
    assert_eq!(scene.conversation.end(), None, "it is in a room");
    let reason = "replaced".to_owned();
    scene.hear(News::Lost(End { code: 4003, reason }));
    assert_eq!(scene.conversation.end(), Some("replaced"));
}
