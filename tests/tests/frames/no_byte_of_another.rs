//! No byte of one connection ever shows up on another: buffers are lent from connection to connection, and each
//! message here is made of its connection's own byte. (NATS and Tomcat have delivered other people's data this way.)

use tidewire_tests::{Client, Frame, Server};

const CONNECTIONS: u8 = 60;
const ROUNDS: usize = 40;

#[test]
fn connections_that_take_turns_within_their_messages_get_back_their_own_bytes() {
    let server = Server::start_with(&["--messages-per-second", "0"]);
    let mut clients: Vec<(u8, Client)> = (0..CONNECTIONS)
        .map(|own| (own, Client::open(server.address(), "/echo")))
        .collect();
    let mut dice = Dice(1);
    for round in 0..ROUNDS {
        // Each sends its message up to a different place in it, so that all are in the middle of one ...
        let mut rests: Vec<Vec<u8>> = Vec::new();
        let mut lengths = Vec::new();
        for (own, client) in &mut clients {
            let length_max = if dice.roll(8) == 0 { 200_000 } else { 3_000 };
            let length = dice.roll(length_max);
            let packet = message(*own, length, &mut dice);
            let cut = dice.roll(packet.len());
            client.wire.send(&packet[..cut]);
            rests.push(packet[cut..].to_vec());
            lengths.push(length);
        }
        // ... some go away there, and others come in their place ...
        for index in 0..clients.len() {
            if dice.roll(10) == 0 {
                clients[index].1 = Client::open(server.address(), "/echo");
                let packet = message(clients[index].0, lengths[index], &mut dice);
                rests[index] = packet;
            }
        }
        // ... and the rest send on.
        for ((own, client), (rest, length)) in clients.iter_mut().zip(rests.iter().zip(&lengths)) {
            client.wire.send(rest);
            let echo = client.expect_binary();
            assert_eq!(echo.len(), *length, "round {round}, connection {own}");
            let foreign = echo.iter().find(|byte| *byte != own);
            assert_eq!(
                foreign, None,
                "round {round}: connection {own} got a byte of another"
            );
        }
    }
}

/// A message of `length` times `own`, whole or in up to four fragments, with pings between them.
fn message(own: u8, length: usize, dice: &mut Dice) -> Vec<u8> {
    let mut cuts: Vec<usize> = (0..dice.roll(4)).map(|_| dice.roll(length + 1)).collect();
    cuts.sort_unstable();
    cuts.push(length);
    let mut packet = Vec::new();
    let mut from = 0;
    for (index, cut) in cuts.iter().enumerate() {
        let piece = vec![own; cut - from];
        let frame = if index == 0 {
            Frame::binary(piece)
        } else {
            Frame::continuation(piece)
        };
        let frame = if *cut == length && index + 1 == cuts.len() {
            frame
        } else {
            frame.unfinished()
        };
        packet.extend(frame.encode());
        if index + 1 < cuts.len() {
            packet.extend(Frame::ping([own; 10]).encode());
        }
        from = *cut;
    }
    packet
}

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        // Knuth's MMIX generator; the high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).map_or(0, |number| number % sides.max(1))
    }
}
