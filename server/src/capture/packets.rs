//! The packets of a TCP connection that is made up: it loses nothing, each side's window is open, and every byte that was
//! captured is in one of them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::{PacketBuilder, TcpHeader, TcpOptionElement};

use super::Direction;

/// The most bytes of a connection in one packet: with all headers it is below the 65,535 bytes of an IP packet.
pub(super) const SEGMENT_BYTES_MAX: usize = 60_000;

/// Both ends have this window, scaled by the option of their SYN to 1 GiB: nobody ever waits.
const WINDOW: u16 = u16::MAX;
const WINDOW_SCALE: u8 = 14;

/// Bytes after which the other side acknowledges, when it says nothing itself: far less than the window.
const ACKNOWLEDGED_AFTER: u32 = 1 << 20;

/// Addresses that no network card has: the lowest bits of the first byte say so.
const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];

const HOPS: u8 = 64;

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    client: End,
    server: End,
}

#[derive(Debug)]
struct End {
    address: SocketAddr,
    mac: [u8; 6],
    /// The number of its next byte.
    next: u32,
    /// What the other side has acknowledged.
    acknowledged: u32,
}

/// What a packet says beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flag {
    Syn,
    SynAck,
    Ack,
    Push,
    Fin,
}

impl Stream {
    /// A connection between these; its numbers begin here.
    pub(super) fn new(client: SocketAddr, server: SocketAddr, number: u32) -> Self {
        let end = |address, mac| End {
            address,
            mac,
            next: number,
            acknowledged: number,
        };
        Self {
            client: end(client, CLIENT_MAC),
            server: end(server, SERVER_MAC),
        }
    }

    /// The three packets that a connection begins with.
    pub(super) fn open(&mut self, mut write: impl FnMut(&[u8])) {
        self.send(Direction::In, Flag::Syn, &[], &mut write);
        self.send(Direction::Out, Flag::SynAck, &[], &mut write);
        self.send(Direction::In, Flag::Ack, &[], &mut write);
    }

    /// One packet with bytes, at most [`SEGMENT_BYTES_MAX`] of them; where it is time for that, another that acknowledges.
    pub(super) fn carry(&mut self, from: Direction, bytes: &[u8], mut write: impl FnMut(&[u8])) {
        self.send(from, Flag::Push, bytes, &mut write);
        let sender = self.end(from);
        if sender.next.wrapping_sub(sender.acknowledged) > ACKNOWLEDGED_AFTER {
            self.send(from.turned(), Flag::Ack, &[], &mut write);
        }
    }

    /// The three packets that a connection ends with.
    pub(super) fn close(&mut self, mut write: impl FnMut(&[u8])) {
        self.send(Direction::Out, Flag::Fin, &[], &mut write);
        self.send(Direction::In, Flag::Fin, &[], &mut write);
        self.send(Direction::Out, Flag::Ack, &[], &mut write);
    }

    const fn end(&mut self, of: Direction) -> &mut End {
        match of {
            Direction::In => &mut self.client,
            Direction::Out => &mut self.server,
        }
    }

    fn send(&mut self, from: Direction, flag: Flag, bytes: &[u8], write: &mut impl FnMut(&[u8])) {
        let receiver = self.end(from.turned());
        let (to, to_mac, acknowledged) = (receiver.address, receiver.mac, receiver.next);
        if flag != Flag::Syn {
            receiver.acknowledged = acknowledged;
        }
        let sender = self.end(from);
        let header = header(sender, to, flag, acknowledged);
        let counted = u32::from(matches!(flag, Flag::Syn | Flag::SynAck | Flag::Fin));
        // Numbers go round after 4 GiB.
        sender.next = sender.next.wrapping_add(bytes.len() as u32 + counted);
        let ethernet = PacketBuilder::ethernet2(sender.mac, to_mac);
        let ip = match (sender.address.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), HOPS),
            (from, to) => ethernet.ipv6(mapped(from).octets(), mapped(to).octets(), HOPS),
        };
        let packet = ip.tcp_header(header);
        let mut out = Vec::with_capacity(packet.size(bytes.len()));
        // Memory takes what is written to it, and what fits into an IP packet was cut to do so.
        if packet.write(&mut out, bytes).is_ok() {
            write(&out);
        }
    }
}

impl Direction {
    const fn turned(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
        }
    }
}

fn header(sender: &End, to: SocketAddr, flag: Flag, acknowledged: u32) -> TcpHeader {
    let mut header = TcpHeader::new(sender.address.port(), to.port(), sender.next, WINDOW);
    header.syn = matches!(flag, Flag::Syn | Flag::SynAck);
    header.fin = flag == Flag::Fin;
    header.psh = flag == Flag::Push;
    header.ack = flag != Flag::Syn;
    if header.ack {
        header.acknowledgment_number = acknowledged;
    }
    if header.syn {
        let options = [
            TcpOptionElement::MaximumSegmentSize(SEGMENT_BYTES_MAX as u16),
            TcpOptionElement::WindowScale(WINDOW_SCALE),
        ];
        // They fit into the 40 bytes that there are for options.
        let _ = header.set_options(&options);
    }
    header
}

/// Behind a proxy that tells the client's address, its family may be another than ours.
const fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    /// Number, acknowledged number, payload and flags of each packet, after checking its sums.
    fn seen(packets: &[Vec<u8>]) -> Vec<(u32, u32, usize, &'static str)> {
        let see = |packet: &Vec<u8>| {
            let sliced = SlicedPacket::from_ethernet(packet).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
                panic!("no TCP");
            };
            let sum = match sliced.net.unwrap() {
                NetSlice::Ipv4(ip) => {
                    let header = ip.header();
                    assert_eq!(
                        header.header_checksum(),
                        header.to_header().calc_header_checksum()
                    );
                    tcp.calc_checksum_ipv4(header.source(), header.destination())
                }
                NetSlice::Ipv6(ip) => {
                    tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination())
                }
                NetSlice::Arp(_) => panic!("no IP"),
            };
            assert_eq!(tcp.checksum(), sum.unwrap());
            let flags = match (tcp.syn(), tcp.fin(), tcp.psh(), tcp.ack()) {
                (true, false, false, false) => "S",
                (true, false, false, true) => "SA",
                (false, true, false, true) => "FA",
                (false, false, true, true) => "PA",
                (false, false, false, true) => "A",
                other => panic!("{other:?}"),
            };
            let number = if tcp.ack() {
                tcp.acknowledgment_number()
            } else {
                0
            };
            (tcp.sequence_number(), number, tcp.payload().len(), flags)
        };
        packets.iter().map(see).collect()
    }

    fn conversation(client: &str, server: &str) -> Vec<Vec<u8>> {
        let mut stream = Stream::new(client.parse().unwrap(), server.parse().unwrap(), 100);
        let mut packets = Vec::new();
        let mut write = |packet: &[u8]| packets.push(packet.to_vec());
        stream.open(&mut write);
        stream.carry(Direction::In, b"question", &mut write);
        stream.carry(Direction::Out, b"answer", &mut write);
        stream.close(&mut write);
        packets
    }

    #[test]
    fn numbers_follow_the_bytes() {
        let expected = [
            (100, 0, 0, "S"),
            (100, 101, 0, "SA"),
            (101, 101, 0, "A"),
            (101, 101, 8, "PA"),
            (101, 109, 6, "PA"),
            (107, 109, 0, "FA"),
            (109, 108, 0, "FA"),
            (108, 110, 0, "A"),
        ];
        for (client, server) in [
            ("192.0.2.1:5000", "192.0.2.2:8080"),
            ("[2001:db8::1]:5000", "[2001:db8::2]:8080"),
            ("192.0.2.1:5000", "[::1]:8080"),
        ] {
            assert_eq!(seen(&conversation(client, server)), expected, "{client}");
        }
    }

    #[test]
    fn a_long_speech_is_acknowledged_and_its_numbers_go_round() {
        let address = "192.0.2.1:1".parse().unwrap();
        let mut stream = Stream::new(address, address, u32::MAX - 100);
        let (mut acks, mut packets) = (0, 0_u32);
        stream.open(|_| {});
        for _ in 0..100 {
            stream.carry(Direction::Out, &[0; SEGMENT_BYTES_MAX], |packet| {
                assert!(packet.len() <= super::super::pcapng::PACKET_BYTES_MAX as usize);
                packets += 1;
                acks += u32::from(packet.len() < 100);
            });
        }
        assert_eq!((packets, acks), (105, 5));
        assert_eq!(
            stream.server.next,
            (u32::MAX - 99).wrapping_add(100 * SEGMENT_BYTES_MAX as u32)
        );
    }
}
