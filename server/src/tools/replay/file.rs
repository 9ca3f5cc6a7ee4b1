//! The packets of a capture, in pcapng or the older pcap, and the TCP segments in them, whatever the link was.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{
    Block, EnhancedPacketBlock, InterfaceDescriptionBlock, LegacyPcapBlock, OptionCode,
    PcapBlockOwned, PcapError, PcapHeader, SimplePacketBlock, create_reader,
};

/// Blocks up to this size are read; nobody's packets are larger.
const BLOCK_BYTES_MAX: usize = 64 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It is no capture.
    Format,
    /// From here on it is no capture.
    Damaged { at: usize },
    /// The system says so.
    Io,
    /// Whoever took the packets could not go on.
    Out(io::Error),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("it is no capture: a pcapng or a pcap file is wanted"),
            Self::Damaged { at } => write!(f, "it is damaged behind byte {at}"),
            Self::Io => f.write_str("it cannot be read to its end"),
            Self::Out(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unreadable {}

/// A piece of a TCP connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) number: u32,
    pub(super) syn: bool,
    pub(super) ack: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
    /// The capture has only the beginning of it.
    pub(super) is_cut: bool,
}

/// What a file has.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    /// Nanoseconds, counted from whenever the file does.
    pub(super) time: u64,
    pub(super) segment: Segment<'a>,
    pub(super) comments: Vec<String>,
}

/// How the packets of an interface are written.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: i32,
    /// Ticks of its clock a second.
    resolution: u64,
}

/// Whether the file ended between two blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Whole,
    Cut,
}

/// Hands on every TCP segment of a file.
pub(super) fn read(
    file: impl Read + Send,
    mut each: impl FnMut(Packet<'_>) -> io::Result<()>,
) -> Result<Ended, Unreadable> {
    let mut reader = create_reader(BUFFER_BYTES, Filled(file)).map_err(|error| {
        if matches!(error, PcapError::ReadError) {
            Unreadable::Io
        } else {
            Unreadable::Format
        }
    })?;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut capacity = BUFFER_BYTES;
    loop {
        let at = reader.consumed();
        let next = match reader.next() {
            Ok((used, block)) => {
                if let Some((packet, interface)) = packet_of(&block, &mut interfaces)
                    && let Some(segment) = segment_of(interface.link, packet.bytes, packet.is_cut)
                {
                    let whole = Packet {
                        time: packet.time,
                        segment,
                        comments: packet.comments,
                    };
                    each(whole).map_err(Unreadable::Out)?;
                }
                Next::Used(used)
            }
            Err(PcapError::Eof) => return Ok(Ended::Whole),
            Err(PcapError::UnexpectedEof) => return Ok(Ended::Cut),
            Err(PcapError::Incomplete(_)) => Next::More,
            Err(PcapError::BufferTooSmall) if capacity < BLOCK_BYTES_MAX => Next::Room,
            Err(PcapError::ReadError) => return Err(Unreadable::Io),
            Err(_) => return Err(Unreadable::Damaged { at }),
        };
        match next {
            Next::Used(used) => {
                reader.consume(used);
                continue;
            }
            Next::More if reader.reader_exhausted() => return Ok(Ended::Cut),
            Next::More => {}
            Next::Room => {
                capacity *= 2;
                reader.grow(capacity);
            }
        }
        reader.refill().map_err(|_| Unreadable::Io)?;
    }
}

/// What the next step of reading is.
enum Next {
    Used(usize),
    More,
    Room,
}

/// Reads as much as there is room for: the library takes a short read for all that there is of a header.
struct Filled<R>(R);

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// A packet as it lies in its block.
struct Raw<'a> {
    time: u64,
    bytes: &'a [u8],
    is_cut: bool,
    comments: Vec<String>,
}

/// The packet of a block, and where it came from; a block that tells of interfaces is noted, and has none.
fn packet_of<'a>(
    block: &'a PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
) -> Option<(Raw<'a>, Interface)> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            *interfaces = vec![Interface::of_file(header)];
            None
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(description)) => {
            interfaces.push(Interface::described(description));
            None
        }
        PcapBlockOwned::Legacy(packet) => {
            let interface = *interfaces.first()?;
            Some((Raw::of_file(packet, interface), interface))
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let interface = *interfaces.get(packet.if_id as usize)?;
            Some((Raw::enhanced(packet, interface), interface))
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            Some((Raw::simple(packet), *interfaces.first()?))
        }
        PcapBlockOwned::NG(_) => None,
    }
}

impl Interface {
    /// The one of a file of the older kind.
    fn of_file(header: &PcapHeader) -> Self {
        let is_nanosecond = header.is_nanosecond_precision();
        Self {
            link: header.network.0,
            resolution: if is_nanosecond {
                1_000_000_000
            } else {
                1_000_000
            },
        }
    }

    fn described(description: &InterfaceDescriptionBlock<'_>) -> Self {
        let resolution = description.ts_resolution();
        Self {
            link: description.linktype.0,
            resolution: resolution.filter(|ticks| *ticks > 0).unwrap_or(1_000_000),
        }
    }
}

impl<'a> Raw<'a> {
    /// A packet of a file of the older kind.
    fn of_file(packet: &'a LegacyPcapBlock<'_>, interface: Interface) -> Self {
        let ticks = u64::from(packet.ts_sec) * interface.resolution;
        Self {
            time: nanoseconds(ticks + u64::from(packet.ts_usec), interface),
            bytes: packet.data,
            is_cut: packet.caplen < packet.origlen,
            comments: Vec::new(),
        }
    }

    fn enhanced(packet: &'a EnhancedPacketBlock<'_>, interface: Interface) -> Self {
        let comments = packet.options.iter();
        let comments = comments.filter(|option| option.code == OptionCode::Comment);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let comments = comments.filter_map(|option| option.as_bytes().ok().map(text));
        let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
        Self {
            time: nanoseconds(ticks, interface),
            bytes: packet.packet_data(),
            is_cut: packet.caplen < packet.origlen,
            comments: comments.collect(),
        }
    }

    /// One that says no time.
    fn simple(packet: &'a SimplePacketBlock<'_>) -> Self {
        Self {
            time: 0,
            bytes: packet.packet_data(),
            is_cut: packet.data.len() < packet.origlen as usize,
            comments: Vec::new(),
        }
    }
}

fn nanoseconds(ticks: u64, interface: Interface) -> u64 {
    let scaled = u128::from(ticks) * 1_000_000_000 / u128::from(interface.resolution);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Numbers of links, as the registry of tcpdump.org has them.
mod link {
    pub(super) const NULL: i32 = 0;
    pub(super) const ETHERNET: i32 = 1;
    pub(super) const LOOP: i32 = 108;
    pub(super) const RAW: [i32; 5] = [12, 14, 101, 228, 229];
    pub(super) const LINUX_COOKED: i32 = 113;
    pub(super) const LINUX_COOKED_2: i32 = 276;
}

/// The TCP segment of a packet; none if it has something else.
fn segment_of(link: i32, bytes: &[u8], is_cut: bool) -> Option<Segment<'_>> {
    let packet = match link {
        link::ETHERNET => LaxSlicedPacket::from_ethernet(bytes).ok()?,
        // The family in four bytes; the IP packet knows its own.
        link::NULL | link::LOOP => LaxSlicedPacket::from_ip(bytes.get(4..)?).ok()?,
        link::LINUX_COOKED => cooked(bytes.get(14..16)?, bytes.get(16..)?)?,
        link::LINUX_COOKED_2 => cooked(bytes.get(..2)?, bytes.get(20..)?)?,
        link if link::RAW.contains(&link) => LaxSlicedPacket::from_ip(bytes).ok()?,
        _ => return None,
    };
    let (from, to): (IpAddr, IpAddr) = match packet.net? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
        return None;
    };
    Some(Segment {
        from: SocketAddr::new(from, tcp.source_port()),
        to: SocketAddr::new(to, tcp.destination_port()),
        number: tcp.sequence_number(),
        syn: tcp.syn(),
        ack: tcp.ack(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: tcp.payload(),
        is_cut,
    })
}

fn cooked<'a>(protocol: &[u8], payload: &'a [u8]) -> Option<LaxSlicedPacket<'a>> {
    let protocol = u16::from_be_bytes(protocol.try_into().ok()?);
    Some(LaxSlicedPacket::from_ether_type(
        EtherType(protocol),
        payload,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    fn ip(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9).tcp(1000, 80, 7, 100);
        let mut out = Vec::new();
        builder.write(&mut out, payload).unwrap();
        out
    }

    /// A file of the older format, with one packet.
    fn pcap(link: u32, magic: u32, packet: &[u8]) -> Vec<u8> {
        let length = packet.len() as u32;
        let numbers = [magic, 0x0004_0002, 0, 0, 65_535, link, 3, 5, length, length];
        let mut file: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        file.extend_from_slice(packet);
        file
    }

    /// How reading ended, and each packet's time and payload.
    type Seen = (Result<Ended, String>, Vec<(u64, Vec<u8>)>);

    fn payloads(file: &[u8]) -> Seen {
        let mut seen = Vec::new();
        let ended = read(file, |packet| {
            seen.push((packet.time, packet.segment.payload.to_vec()));
            Ok(())
        });
        (ended.map_err(|error| error.to_string()), seen)
    }

    #[test]
    fn every_link_that_tcpdump_writes_here_is_read() {
        let ip = ip(b"hello");
        let behind = |header: &[u8]| [header, &ip].concat();
        let ethernet = behind(&[[2; 12].as_slice(), &[8, 0]].concat());
        let vlan = behind(&[[2; 12].as_slice(), &[0x81, 0, 0, 5, 8, 0]].concat());
        let cooked = behind(&[[0; 14].as_slice(), &[8, 0]].concat());
        let cooked_2 = behind(&[&[8, 0], [0; 18].as_slice()].concat());
        // What is shorter than a frame may be is filled up.
        let padded = [ethernet.as_slice(), &[0; 9]].concat();
        for (link, packet) in [
            (0, behind(&[2, 0, 0, 0])),
            (1, ethernet),
            (1, vlan),
            (1, padded),
            (101, ip.clone()),
            (108, behind(&[0, 0, 0, 2])),
            (113, cooked),
            (276, cooked_2),
            (228, ip.clone()),
        ] {
            let (ended, seen) = payloads(&pcap(link, 0xa1b2_c3d4, &packet));
            assert_eq!(ended, Ok(Ended::Whole), "{link}");
            assert_eq!(seen, [(3_000_005_000, b"hello".to_vec())], "{link}");
        }
        let (_, seen) = payloads(&pcap(101, 0xa1b2_3c4d, &ip));
        assert_eq!(
            seen[0].0, 3_000_000_005,
            "nanoseconds have a magic of their own"
        );
        assert_eq!(payloads(&pcap(147, 0xa1b2_c3d4, &ip)).1, []);
    }

    #[test]
    fn what_is_no_capture_is_told_and_what_is_cut_is_read_as_far_as_it_goes() {
        for file in [&b""[..], b"x", b"{}", &[0; 100], b"GET / HTTP/1.1\r\n\r\n"] {
            let (ended, seen) = payloads(file);
            assert!(ended.unwrap_err().contains("no capture") && seen.is_empty());
        }
        let file = pcap(101, 0xa1b2_c3d4, &ip(b"hello"));
        let twice = [&file[..], &file[24..]].concat();
        for end in 25..file.len() {
            assert_eq!(payloads(&file[..end]), (Ok(Ended::Cut), vec![]), "{end}");
        }
        let (ended, seen) = payloads(&twice[..twice.len() - 1]);
        assert_eq!((ended, seen.len()), (Ok(Ended::Cut), 1));
    }
}
