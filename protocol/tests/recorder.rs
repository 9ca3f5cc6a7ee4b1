//! What the flight recorder of a connection has of the frames that went over it, whichever way they were sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_protocol::frame::Opcode;
use tidewire_protocol::{
    Batch, CloseCode, Config, Connection, Direction, Message, Prepared, RecorderClock,
};

type Seen = (Direction, Opcode, bool, u32, u64);

fn seen(connection: &Connection) -> Vec<Seen> {
    let recorder = connection.recorder().expect("it records");
    let frames = recorder.frames();
    frames
        .map(|frame| {
            let (direction, opcode) = (frame.direction, frame.opcode);
            (direction, opcode, frame.fin, frame.frames, frame.length)
        })
        .collect()
}

/// Hands over bytes in pieces of this size.
fn hear(connection: &mut Connection, bytes: &[u8], size: usize, now: Instant) {
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        while connection.handle_input(&mut input, now).is_some() {}
    }
}

fn pair() -> (Connection, Connection, Instant) {
    let (config, now) = (Arc::new(Config::default()), Instant::now());
    let mut server = Connection::server(Arc::clone(&config), now);
    server.record(&RecorderClock::default());
    (server, Connection::client(config, now), now)
}

fn bytes_of(connection: &mut Connection) -> Vec<u8> {
    let mut slices = [std::io::IoSlice::new(&[]); 16];
    let count = connection.poll_transmit(&mut slices);
    let bytes: Vec<u8> = slices[..count]
        .iter()
        .flat_map(|slice| slice.to_vec())
        .collect();
    connection.transmitted(bytes.len());
    bytes
}

#[test]
fn what_comes_is_seen_frame_by_frame_however_it_is_cut() {
    use Direction::{Received, Sent};
    for size in [1, 3, 1000] {
        let (mut server, mut client, now) = pair();
        client
            .send_fragment(&Message::text("one"), false)
            .expect("it is open");
        client.ping(b"?").expect("it is open");
        client
            .send_fragment(&Message::text("two!"), true)
            .expect("it is open");
        client
            .send(&Message::binary(&[0; 200]))
            .expect("it is open");
        client
            .close(CloseCode::NORMAL, "bye", now)
            .expect("it is open");
        hear(&mut server, &bytes_of(&mut client), size, now);
        let expected = [
            (Received, Opcode::Text, false, 1, 3),
            (Received, Opcode::Ping, true, 1, 1),
            (Sent, Opcode::Pong, true, 1, 1),
            (Received, Opcode::Continuation, true, 1, 4),
            (Received, Opcode::Binary, true, 1, 200),
            (Received, Opcode::Close, true, 1, 5),
            (Sent, Opcode::Close, true, 1, 2),
        ];
        assert_eq!(seen(&server), expected, "in pieces of {size}");
    }
}

#[test]
fn every_way_to_send_is_seen() {
    let (mut server, _, _) = pair();
    let text = Message::text("hello");
    let prepared = || Prepared::new(&text);
    let batch = Batch::new(vec![prepared(), prepared()]);
    let all = |slices: &[std::io::IoSlice<'_>]| slices.iter().map(|slice| slice.len()).sum();
    server.send(&text).expect("it is open");
    server
        .send_owned(Message::binary(&[1; 300]))
        .expect("it is open");
    server.send_prepared(&prepared()).expect("it is open");
    server.send_batch(&batch).expect("it is open");
    server.send_through(&text, all).expect("it is open");
    server
        .send_batch_through(&Batch::new(vec![prepared()]), <[u8]>::len)
        .expect("it is open");
    server.ping(b"").expect("it is open");
    let seen: Vec<_> = seen(&server)
        .into_iter()
        .map(|(direction, opcode, _, frames, length)| {
            assert_eq!(direction, Direction::Sent);
            (opcode, frames, length)
        })
        .collect();
    let expected = [
        (Opcode::Text, 1, 5),
        (Opcode::Binary, 1, 300),
        (Opcode::Text, 1, 5),
        (Opcode::Text, 2, 14),
        (Opcode::Text, 1, 5),
        (Opcode::Text, 1, 5),
        (Opcode::Ping, 1, 0),
    ];
    assert_eq!(seen, expected);
    let sent = *server.recorder().expect("it is open").sent();
    assert_eq!((sent.frames, sent.bytes), (8, 334));
}

#[test]
fn a_frame_that_is_refused_is_seen() {
    let (mut server, _, now) = pair();
    let announced = [0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4];
    hear(&mut server, &announced, 5, now);
    let (_, opcode, _, _, length) = seen(&server)[0];
    assert_eq!((opcode, length), (Opcode::Binary, 0x4000_0000));
    assert!(!server.is_open(), "it is over the limit");
}

#[test]
fn a_ping_and_its_answer_are_a_round_trip() {
    let (config, now) = (Arc::new(Config::default()), Instant::now());
    let clock = RecorderClock::default();
    let mut server = Connection::server(Arc::clone(&config), now);
    server.record(&clock);
    clock.set(Duration::from_secs(1));
    server.ping(b"?").expect("it is open");
    let ping = bytes_of(&mut server);
    let mut client = Connection::client(config, now);
    hear(&mut client, &ping, 100, now);
    clock.set(Duration::from_millis(1042));
    hear(&mut server, &bytes_of(&mut client), 100, now);
    let recorder = server.recorder().expect("it is open");
    let round_trips: Vec<_> = recorder.round_trips().collect();
    assert_eq!(round_trips, [Duration::from_millis(42)]);
    assert_eq!(recorder.began(), Duration::ZERO);
}
