//! What a node hears of another, on a clock that a test moves.

use super::*;

fn room() -> RoomName {
    RoomName::new("r").unwrap()
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

/// What node `a` hears of node `b`, on a clock that a test moves.
struct Ear {
    nodes: Nodes,
    now: Instant,
}

impl Ear {
    fn new() -> Self {
        Self {
            nodes: Nodes::default(),
            now: Instant::now(),
        }
    }

    fn hear(&mut self, life: u64, number: u64, deltas: Vec<Delta>) -> (Vec<Change>, Wanted) {
        let mut changes = Vec::new();
        let note = Note {
            node: NodeName::new("b").unwrap(),
            life,
            number,
            deltas,
        };
        let own = NodeName::new("a").unwrap();
        let wanted = self.nodes.hear(note, &own, self.now, &mut changes);
        (changes, wanted)
    }
}

fn enter(name: &str) -> Delta {
    Delta::Enter(room(), user(name))
}

fn entered(name: &str) -> Change {
    Change::Entered(room(), user(name))
}

fn left(name: &str) -> Change {
    Change::Left(room(), user(name))
}

fn state(first: bool, last: bool, names: &[&str]) -> Delta {
    Delta::State(Chunk {
        first,
        last,
        here: Vec::new(),
        places: names.iter().map(|name| (room(), user(name))).collect(),
    })
}

const NOTHING: Wanted = Wanted {
    state: false,
    hello: false,
};

const ASK: Wanted = Wanted {
    state: false,
    hello: true,
};

#[test]
fn what_comes_in_order_counts_and_what_comes_twice_does_not() {
    let mut ear = Ear::new();
    let hello = vec![Delta::Hello(None), enter("x")];
    let (changes, wanted) = ear.hear(1, 1, hello.clone());
    assert_eq!(changes, [entered("x")]);
    assert!(wanted.state && !wanted.hello);
    assert_eq!(ear.hear(1, 1, hello), (vec![], NOTHING));
    let leave = vec![Delta::Leave(room(), user("x"))];
    assert_eq!(ear.hear(1, 2, leave.clone()), (vec![left("x")], NOTHING));
    assert_eq!(ear.hear(1, 2, leave.clone()), (vec![], NOTHING));
    assert_eq!(ear.hear(1, 3, leave), (vec![], NOTHING), "it is not there");
}

#[test]
fn behind_a_missed_note_nothing_counts_before_all_was_told() {
    let mut ear = Ear::new();
    ear.hear(1, 1, vec![enter("x"), enter("y")]);
    assert_eq!(ear.hear(1, 3, vec![enter("z")]), (vec![], ASK));
    assert_eq!(
        ear.hear(1, 4, vec![enter("v")]),
        (vec![], NOTHING),
        "it was asked"
    );
    assert_eq!(
        ear.hear(1, 5, vec![state(true, false, &["x"])]),
        (vec![], NOTHING)
    );
    let (changes, _) = ear.hear(1, 6, vec![state(false, true, &["w"]), enter("z")]);
    assert_eq!(changes, [entered("w"), left("y"), entered("z")]);
}

#[test]
fn what_was_told_in_part_is_told_again() {
    let mut ear = Ear::new();
    ear.hear(1, 1, vec![enter("x")]);
    ear.hear(1, 2, vec![state(true, false, &["y"])]);
    let missed = ear.hear(1, 4, vec![state(false, true, &["z"])]);
    assert_eq!(missed, (vec![], ASK));
    ear.now += ASK_EVERY;
    assert_eq!(ear.hear(1, 5, vec![Delta::Beat]), (vec![], ASK));
    let (changes, _) = ear.hear(1, 6, vec![state(true, true, &["x"])]);
    assert_eq!(changes, []);
}

#[test]
fn a_new_process_takes_the_place_of_the_old_and_a_late_word_of_that_does_not() {
    let mut ear = Ear::new();
    ear.hear(1, 1, vec![enter("x")]);
    let (changes, _) = ear.hear(2, 1, vec![enter("y")]);
    assert_eq!(changes, [left("x"), entered("y")]);
    assert_eq!(ear.hear(1, 2, vec![enter("z")]), (vec![], ASK));
    assert_eq!(
        ear.hear(2, 2, vec![enter("z")]),
        (vec![entered("z")], NOTHING)
    );
    // Its first notes were missed, and it tells all it has.
    let (changes, _) = ear.hear(3, 9, vec![state(true, true, &["z"])]);
    assert_eq!(changes, [left("y")]);
}

#[test]
fn who_says_goodbye_or_nothing_at_all_is_gone_with_all_it_had() {
    let mut ear = Ear::new();
    ear.hear(1, 1, vec![enter("x"), Delta::Here(user("x"))]);
    let (changes, _) = ear.hear(1, 2, vec![Delta::Bye]);
    assert_eq!(changes, [left("x"), Change::Gone(user("x"))]);
    assert_eq!(ear.nodes.len(), 0);
    ear.hear(2, 1, vec![enter("x")]);
    let mut changes = Vec::new();
    let almost = ear.now + SILENCE_MAX - Duration::from_millis(1);
    assert_eq!(ear.nodes.drop_silent(almost, &mut changes), []);
    let dropped = ear.nodes.drop_silent(ear.now + SILENCE_MAX, &mut changes);
    assert_eq!((dropped.len(), changes), (1, vec![left("x")]));
    assert_eq!(ear.hear(2, 2, vec![enter("y")]), (vec![], ASK));
}

#[test]
fn only_so_many_nodes_are_heard() {
    let mut nodes = Nodes::default();
    let own = NodeName::new("a").unwrap();
    for number in 0..2 * NODES_MAX {
        let note = Note {
            node: NodeName::new(&format!("n{number}")).unwrap(),
            life: 1,
            number: 1,
            deltas: Vec::new(),
        };
        nodes.hear(note, &own, Instant::now(), &mut Vec::new());
    }
    assert_eq!(nodes.len(), NODES_MAX);
}
