//! The flight recorder of a connection: the headers of its newest frames, when each came or was queued, and how long pings
//! were out. It is not a capture: no payload is kept, and nothing here knows of sockets or reads a clock.
//!
//! A connection without one pays a pointer that is null and a test of it for each frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::frame::{Header, Opcode, RSV1};

/// Frames that are kept: a heartbeat every 30 s leaves eight minutes of them.
const FRAMES_KEPT: usize = 32;

/// Answers to pings that are kept.
const ROUND_TRIPS_KEPT: usize = 8;

/// The bits of an entry below its time: see [`Entry`]. Times are milliseconds: in 40 bits that is 35 years.
const TIME_SHIFT: u32 = 24;
const SENT: u64 = 1 << 23;
const FIN: u64 = 1 << 22;
const COMPRESSED: u64 = 1 << 21;
const OPCODE_SHIFT: u32 = 16;
const CONTROL: u64 = 0x8 << OPCODE_SHIFT;
const COUNT: u64 = (1 << 16) - 1;

/// The time for recorders: whoever owns connections sets it where a turn of its loop begins.
///
/// Sending takes no time as an argument, so that recorders read it here.
#[derive(Debug, Clone, Default)]
pub struct RecorderClock(Arc<AtomicU64>);

impl RecorderClock {
    /// Sets the time, counted from any moment that stays the same.
    pub fn set(&self, time: Duration) {
        self.0.store(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn ticks(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer sent it.
    Received,
    /// We queued it.
    Sent,
}

/// A frame's header, or what those of several had in common that were sent as one run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedFrame {
    /// When its header was read, or when it was queued, by the [`RecorderClock`].
    pub at: Duration,
    /// Which way it went.
    pub direction: Direction,
    /// What it carried.
    pub opcode: Opcode,
    /// It ended its message.
    pub fin: bool,
    /// It was compressed (RSV1).
    pub compressed: bool,
    /// How many frames this stands for: above 1 for a [`Batch`](crate::Batch).
    pub frames: u32,
    /// The payload's bytes as they were on the wire; those of a batch with its headers. Not above 4 GiB.
    pub length: u64,
}

/// How much went one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// Bytes of payload that their headers announced.
    pub bytes: u64,
    /// Means nothing while there was no frame.
    last: u64,
}

impl Traffic {
    /// When the last frame went, by the [`RecorderClock`].
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        (self.frames > 0).then(|| duration(self.last))
    }

    const fn count(&mut self, frames: u64, bytes: u64, now: u64) {
        self.frames += frames;
        self.bytes += bytes;
        self.last = now;
    }
}

/// What a connection did of late.
#[derive(Debug, Clone)]
pub struct Recorder {
    clock: RecorderClock,
    began: u64,
    received: Traffic,
    sent: Traffic,
    /// Since when a ping has no answer.
    pinged_at: Option<u64>,
    round_trips: [u32; ROUND_TRIPS_KEPT],
    answers: u64,
    /// How many entries there were.
    count: u64,
    entries: [Entry; FRAMES_KEPT],
}

/// Twelve bytes. The first word is the time above what fits in 24 bits: direction, FIN, RSV1, a bit that is not used, the
/// opcode and how many frames this is.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    low: u32,
    high: u32,
    length: u32,
}

impl Entry {
    const fn new(word: u64, length: u64) -> Self {
        Self {
            low: word as u32,
            high: (word >> 32) as u32,
            length: if length > u32::MAX as u64 {
                u32::MAX
            } else {
                length as u32
            },
        }
    }

    fn to_frame(self) -> RecordedFrame {
        let word = u64::from(self.high) << 32 | u64::from(self.low);
        RecordedFrame {
            at: duration(word >> TIME_SHIFT),
            direction: if word & SENT == 0 {
                Direction::Received
            } else {
                Direction::Sent
            },
            // Only opcodes were put there.
            opcode: Opcode::new((word >> OPCODE_SHIFT) as u8 & 0xf).unwrap_or(Opcode::Continuation),
            fin: word & FIN != 0,
            compressed: word & COMPRESSED != 0,
            frames: (word & COUNT) as u32,
            length: u64::from(self.length),
        }
    }
}

const fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks)
}

impl Recorder {
    pub(crate) fn new(clock: RecorderClock) -> Self {
        Self {
            began: clock.ticks(),
            clock,
            received: Traffic::default(),
            sent: Traffic::default(),
            pinged_at: None,
            round_trips: [0; ROUND_TRIPS_KEPT],
            answers: 0,
            count: 0,
            entries: [Entry::default(); FRAMES_KEPT],
        }
    }

    /// When recording began, by the [`RecorderClock`].
    #[must_use]
    pub const fn began(&self) -> Duration {
        duration(self.began)
    }

    /// What the peer sent.
    #[must_use]
    pub const fn received(&self) -> &Traffic {
        &self.received
    }

    /// What we queued.
    #[must_use]
    pub const fn sent(&self) -> &Traffic {
        &self.sent
    }

    /// Since when a ping has no answer, by the [`RecorderClock`].
    #[must_use]
    pub fn pinged_at(&self) -> Option<Duration> {
        self.pinged_at.map(duration)
    }

    /// How long pings were out, the newest last: eight at most.
    pub fn round_trips(&self) -> impl Iterator<Item = Duration> {
        newest(&self.round_trips, self.answers).map(|ticks| duration(u64::from(ticks)))
    }

    /// The newest frames in the order in which they went: 32 at most.
    pub fn frames(&self) -> impl Iterator<Item = RecordedFrame> {
        newest(&self.entries, self.count).map(Entry::to_frame)
    }

    /// Puts down what went; `what` is an entry's word without its time.
    fn put(&mut self, what: u64, length: u64, now: u64) {
        let place = self.count as usize % FRAMES_KEPT;
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Entry::new(now << TIME_SHIFT | what, length);
        }
        self.count += 1;
    }

    fn note_round_trip(&mut self, what: u64, now: u64) {
        let opcode = (what >> OPCODE_SHIFT) as u8 & 0xf;
        if opcode == Opcode::Ping as u8 && what & SENT != 0 {
            self.pinged_at.get_or_insert(now);
        }
        // An answer to nothing is a sign of life and no measurement.
        if opcode == Opcode::Pong as u8
            && what & SENT == 0
            && let Some(pinged_at) = self.pinged_at.take()
        {
            let place = self.answers as usize % ROUND_TRIPS_KEPT;
            if let Some(slot) = self.round_trips.get_mut(place) {
                *slot = u32::try_from(now.saturating_sub(pinged_at)).unwrap_or(u32::MAX);
            }
            self.answers += 1;
        }
    }
}

/// What is noted of one frame, or of several: an entry's word without its time and its direction, and their length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted {
    what: u64,
    length: u64,
}

impl Noted {
    /// Of a final frame without reserved bits.
    pub(crate) const fn plain(opcode: Opcode, length: usize) -> Self {
        Self {
            what: FIN | (opcode as u64) << OPCODE_SHIFT | 1,
            length: length as u64,
        }
    }

    const fn of(header: &Header) -> Self {
        let fin = if header.fin { FIN } else { 0 };
        let compressed = if header.reserved_bits & RSV1 != 0 {
            COMPRESSED
        } else {
            0
        };
        Self {
            what: fin | compressed | (header.opcode as u64) << OPCODE_SHIFT | 1,
            length: header.length,
        }
    }

    /// Of a frame that we made: final, not masked, perhaps compressed.
    pub(crate) fn encoded(opcode: Opcode, frame: &[u8]) -> Self {
        let header_bytes = match frame.get(1) {
            Some(126) => 4,
            Some(127) => 10,
            _ => 2,
        };
        let plain = Self::plain(opcode, frame.len().saturating_sub(header_bytes));
        match frame.first() {
            Some(first) if first & RSV1 != 0 => Self {
                what: plain.what | COMPRESSED,
                ..plain
            },
            _ => plain,
        }
    }

    /// Of several final frames that are one run of bytes, which count with their headers.
    pub(crate) fn batch(opcode: Opcode, frames: usize, bytes: usize) -> Self {
        let plain = Self::plain(opcode, bytes);
        let more = (frames as u64).clamp(1, COUNT) - 1;
        Self {
            what: plain.what + more,
            ..plain
        }
    }
}

/// The newest of a ring into which `count` were put, the oldest of them first.
fn newest<T: Copy, const SIZE: usize>(
    ring: &[T; SIZE],
    count: u64,
) -> impl Iterator<Item = T> + use<'_, T, SIZE> {
    let count = count as usize;
    let first = count.saturating_sub(SIZE);
    (first..count).filter_map(|place| ring.get(place % SIZE).copied())
}

/// A recorder, or none. What it costs where there is none is here.
#[derive(Debug, Default)]
pub(crate) struct Recording(Option<Box<Recorder>>);

impl Recording {
    pub(crate) fn begin(&mut self, clock: &RecorderClock) {
        self.0 = Some(Box::new(Recorder::new(clock.clone())));
    }

    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.0.as_deref()
    }

    /// The peer sent this header.
    #[inline]
    pub(crate) fn received(&mut self, header: &Header) {
        if let Some(recorder) = &mut self.0 {
            recorder.note_received(Noted::of(header));
        }
    }

    /// The peer sent a final frame of data without reserved bits.
    #[inline]
    pub(crate) fn received_plain(&mut self, opcode: Opcode, length: usize) {
        if let Some(recorder) = &mut self.0 {
            recorder.note_received_data(Noted::plain(opcode, length));
        }
    }

    /// This header was queued.
    #[inline]
    pub(crate) fn sent(&mut self, header: &Header) {
        if let Some(recorder) = &mut self.0 {
            recorder.note_sent(Noted::of(header));
        }
    }

    /// This was queued, and is no ping.
    #[inline]
    pub(crate) fn sent_data(&mut self, noted: impl FnOnce() -> Noted) {
        if let Some(recorder) = &mut self.0 {
            recorder.note_sent_data(noted());
        }
    }
}

// Not inlined: on the way of every frame there is to be nothing but the test. What is noted comes in registers.
impl Recorder {
    #[inline(never)]
    fn note_received(&mut self, noted: Noted) {
        if noted.what & CONTROL != 0 {
            self.note_round_trip(noted.what, self.clock.ticks());
        }
        self.note_received_data(noted);
    }

    #[inline(never)]
    fn note_received_data(&mut self, Noted { what, length }: Noted) {
        let now = self.clock.ticks();
        self.received.count(what & COUNT, length, now);
        self.put(what, length, now);
    }

    #[inline(never)]
    fn note_sent(&mut self, noted: Noted) {
        if noted.what & CONTROL != 0 {
            self.note_round_trip(SENT | noted.what, self.clock.ticks());
        }
        self.note_sent_data(noted);
    }

    #[inline(never)]
    fn note_sent_data(&mut self, Noted { what, length }: Noted) {
        let now = self.clock.ticks();
        self.sent.count(what & COUNT, length, now);
        self.put(SENT | what, length, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(opcode: Opcode, length: usize) -> Header {
        Header::unmasked(opcode, length)
    }

    #[test]
    fn the_newest_frames_are_kept_in_their_order() {
        let clock = RecorderClock::default();
        let mut recording = Recording::default();
        recording.begin(&clock);
        for number in 0..40 {
            clock.set(Duration::from_millis(number));
            recording.received_plain(Opcode::Text, number as usize);
        }
        let recorder = recording.recorder().unwrap();
        let frames: Vec<_> = recorder.frames().collect();
        assert_eq!(frames.len(), FRAMES_KEPT);
        assert_eq!(frames[0].at, Duration::from_millis(8));
        assert_eq!(frames[31].length, 39);
        assert_eq!(recorder.received().frames, 40);
        assert_eq!(recorder.received().bytes, (0..40).sum::<u64>());
        assert_eq!(recorder.received().last(), Some(Duration::from_millis(39)));
        assert_eq!(recorder.sent().last(), None);
    }

    #[test]
    fn an_entry_gives_back_what_was_put_into_it() {
        let clock = RecorderClock::default();
        let mut recording = Recording::default();
        recording.begin(&clock);
        // Years, in a field of 40 bits.
        let at = Duration::from_secs(1_000_000_000);
        clock.set(at);
        let cut = Header {
            fin: false,
            ..header(Opcode::Binary, 70_000).with_rsv1()
        };
        recording.sent(&cut);
        recording.sent_data(|| Noted::encoded(Opcode::Text, &[0x81, 126, 0, 200, 0]));
        recording.sent_data(|| Noted::batch(Opcode::Text, 3, 9));
        recording.received(&Header {
            length: u64::MAX >> 1,
            ..header(Opcode::Close, 0)
        });
        let frames: Vec<_> = recording.recorder().unwrap().frames().collect();
        let sent = RecordedFrame {
            at,
            direction: Direction::Sent,
            opcode: Opcode::Binary,
            fin: false,
            compressed: true,
            frames: 1,
            length: 70_000,
        };
        let text = RecordedFrame {
            opcode: Opcode::Text,
            fin: true,
            compressed: false,
            length: 1,
            ..sent
        };
        let batch = RecordedFrame {
            frames: 3,
            length: 9,
            ..text
        };
        let received = RecordedFrame {
            direction: Direction::Received,
            opcode: Opcode::Close,
            frames: 1,
            length: u64::from(u32::MAX),
            ..text
        };
        assert_eq!(frames, [sent, text, batch, received]);
    }

    #[test]
    fn a_pong_tells_how_long_the_oldest_ping_was_out() {
        let clock = RecorderClock::default();
        let mut recording = Recording::default();
        recording.begin(&clock);
        recording.received(&header(Opcode::Pong, 0));
        for at in [10, 15] {
            clock.set(Duration::from_millis(at));
            recording.sent(&header(Opcode::Ping, 0));
        }
        let recorder = recording.recorder().unwrap();
        assert_eq!(recorder.pinged_at(), Some(Duration::from_millis(10)));
        assert_eq!(recorder.round_trips().count(), 0, "asked for by nobody");
        clock.set(Duration::from_millis(40));
        recording.received(&header(Opcode::Pong, 0));
        let recorder = recording.recorder().unwrap();
        let round_trips: Vec<_> = recorder.round_trips().collect();
        assert_eq!(round_trips, [Duration::from_millis(30)]);
        assert_eq!(recorder.pinged_at(), None);
    }

    #[test]
    fn a_recorder_has_512_bytes() {
        // Written down in docs/WHY.md.
        assert_eq!((size_of::<Recorder>(), size_of::<Recording>()), (512, 8));
    }
}
