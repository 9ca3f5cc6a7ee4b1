//! One run: all connections on one thread, turn by turn. The order of a turn is [`Run::turn`]'s; what a run goes through is in
//! [`phases`], what is said and heard in [`messages`], and who is there in [`peers`].

mod messages;
mod peers;
mod phases;

use std::fs::File;
use std::io::{self, Write as _, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use self::messages::Messages;
use self::peers::Peers;
pub(super) use self::phases::Phase;
use super::alarm::{Alarm, processor_time};
use super::error::BenchError;
use super::live::Live;
use super::options::Scenario;
use super::picture;
use super::plan::Plan;
use super::report::{self, Figures};
use super::schedule::Schedule;
use super::tally::Tally;
use super::target::Target;
use crate::clock::Now;
use crate::progress::Progress;

/// The token of the signals, and of the alarm; connections have their numbers.
const SIGNALS: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// What one read takes.
const BUFFER_BYTES: usize = 256 << 10;

/// Open files beside connections: standard streams, the poll, the alarm, signals, the picture.
const RESERVED_DESCRIPTORS: u64 = 32;

/// The longest that the loop waits for anything; also how often it looks at what is overdue.
const TURN_MAX: Duration = Duration::from_millis(50);

/// How often a line says how far it is, where no terminal is.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// How many connections are on their way at once before the measurement.
const OPENING_MAX: usize = 64;

/// How much that is due is sent before the loop reads again.
const DUE_PER_TURN: usize = 4096;

/// Silence for so long means that what has not come will not come.
const QUIET_MAX: Duration = Duration::from_secs(2);

/// Loads a server and prints what was found.
///
/// # Errors
/// There is nothing to tell: no such server, or the system refuses.
pub fn run(plan: &Plan) -> Result<(), BenchError> {
    let target = Target::new(plan, rand::random())?;
    check_files(plan)?;
    // A picture that cannot be written is told before the run, not behind it.
    let create =
        |path: &PathBuf| File::create(path).map_err(|error| BenchError::picture(path, &error));
    let picture = plan.svg.as_ref().map(create).transpose()?;
    let mut run = Run::new(plan, &target)?;
    while run.phase != Phase::Over {
        run.turn()?;
    }
    run.progress.clear();
    let figures = run.figures();
    let told = match plan.json {
        true => format!("{}\n", report::json(plan, &target, &run.tally, &figures)),
        false => report::text(plan, &target, &run.tally, &figures),
    };
    // Who reads it may stop, as `head` does.
    let _ = stdout().write_all(told.as_bytes());
    if let (Some(mut file), Some(path)) = (picture, &plan.svg) {
        let drawn = picture::draw(plan, &run.tally, &figures);
        drawn
            .and_then(|svg| Ok(file.write_all(svg.as_bytes())?))
            .map_err(|error| BenchError::picture(path, &*error))?;
    }
    Ok(())
}

/// Raises the limit on open files as far as it goes, and looks whether that is enough.
fn check_files(plan: &Plan) -> Result<(), BenchError> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| BenchError::Io("read the limit on open files", error))?;
    let needed = plan.connections as u64 + RESERVED_DESCRIPTORS;
    match needed <= limit {
        true => Ok(()),
        false => Err(BenchError::Files {
            connections: plan.connections,
            needed,
            limit,
        }),
    }
}

struct Run<'a> {
    plan: &'a Plan,
    poll: Poll,
    events: Events,
    alarm: Alarm,
    signals: Signals,
    clock: Clock,
    phase: Phase,
    /// When the phase began, or something was last heard in it.
    since: u64,
    peers: Peers<'a>,
    messages: Messages,
    /// None in a closed loop, and while nothing is due yet.
    schedule: Option<Schedule>,
    tally: Tally,
    /// What the processor did for us until the measured part began.
    processor: Duration,
    /// How often `^C` was pressed. Who presses it twice does not want to wait for what is on its way.
    interrupts: usize,
    live: Live,
    progress: Progress,
    swept_at: u64,
}

/// The time, as an instant and as nanoseconds since the run began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    pub(super) instant: Instant,
    pub(super) now: u64,
}

impl Clock {
    fn start() -> Self {
        let start = Now::read().instant;
        Self {
            start,
            instant: start,
            now: 0,
        }
    }

    /// Looks at the time again: what is measured here is shorter than a turn.
    pub(super) fn tick(&mut self) {
        self.instant = Now::read().instant;
        self.now = self.instant.duration_since(self.start).as_nanos() as u64;
    }
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, target: &'a Target) -> Result<Self, BenchError> {
        let refused = |what| move |error| BenchError::Io(what, error);
        let poll = Poll::new().map_err(refused("wait for sockets"))?;
        let alarm = Alarm::new(poll.registry(), ALARM).map_err(refused("set a timer"))?;
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(refused("listen to signals"))?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)
            .map_err(refused("listen to signals"))?;
        Ok(Self {
            plan,
            poll,
            events: Events::with_capacity(1024),
            alarm,
            signals,
            clock: Clock::start(),
            phase: Phase::Opening,
            since: 0,
            peers: Peers::new(plan, target)?,
            messages: Messages::new(plan, target),
            schedule: None,
            tally: Tally::new(),
            processor: Duration::ZERO,
            interrupts: 0,
            live: Live::default(),
            // A program that reads JSON looks at no lines.
            progress: Progress::new((!plan.json).then_some(LINE_EVERY)),
            swept_at: 0,
        })
    }

    /// One turn of the loop.
    fn turn(&mut self) -> Result<(), BenchError> {
        self.wait()?;
        self.clock.tick();
        self.note_events();
        self.read();
        self.open();
        self.do_what_is_due();
        self.flush();
        self.sweep();
        self.go_on()?;
        self.show();
        Ok(())
    }

    /// Waits for sockets, for what is due next, or for a while.
    fn wait(&mut self) -> Result<(), BenchError> {
        self.clock.tick();
        let mut wait = TURN_MAX;
        if let Some(schedule) = self
            .schedule
            .as_ref()
            .filter(|_| self.phase == Phase::Running)
        {
            let next = schedule.next().min(self.tally.window.end);
            wait = wait.min(Duration::from_nanos(next.saturating_sub(self.clock.now)));
        }
        if self.peers.has_leftovers() {
            wait = Duration::ZERO;
        }
        let refused = |error| BenchError::Io("wait for sockets", error);
        if !wait.is_zero() && wait < TURN_MAX {
            self.alarm.set(wait).map_err(refused)?;
            wait = TURN_MAX;
        }
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(refused(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn note_events(&mut self) {
        for event in &self.events {
            match event.token() {
                // It has done what it was for: the poll returned.
                ALARM => {}
                SIGNALS => self.interrupts += self.signals.pending().count(),
                Token(number) => self.peers.note(number, event),
            }
        }
    }

    /// Reads from all that are ready, and does what follows from what they said.
    fn read(&mut self) {
        for number in self.peers.take_ready() {
            let outcome = self.peers.pump(number, &mut self.clock, &self.messages);
            if self.peers.take_opened(number) {
                self.opened(number);
            }
            self.hear(number);
            if let Err(end) = outcome {
                self.ended(number, &end);
            }
            // A thousand answers are read for some milliseconds: what is due meanwhile is not to wait for that.
            if self.is_due() {
                self.do_what_is_due();
                self.flush();
            }
        }
    }

    /// Begins with connections as long as there are to be more.
    fn open(&mut self) {
        match (self.phase, self.plan.scenario, self.plan.rate) {
            (Phase::Opening, _, _) => {
                let wanted = self.plan.opened_first();
                // The first shows whether there is a server at all.
                let at_once = if self.tally.opened == 0 {
                    1
                } else {
                    OPENING_MAX
                };
                while self.peers.begun() < wanted && self.peers.under_way() < at_once {
                    self.begin(self.clock.now);
                }
            }
            (Phase::Running, Scenario::Connect, None) => {
                // Where the system refuses one it refuses the next: ports come back with time, and so does this turn.
                while self.peers.count() < self.plan.connections {
                    if !self.begin(self.clock.now) {
                        break;
                    }
                }
            }
            (Phase::Running | Phase::Draining | Phase::Closing | Phase::Over, _, _) => {}
        }
    }

    fn is_due(&self) -> bool {
        let schedule = self.schedule.as_ref();
        self.phase == Phase::Running
            && schedule.is_some_and(|schedule| schedule.next() <= self.clock.now)
    }

    fn do_what_is_due(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        for _ in 0..DUE_PER_TURN {
            let schedule = self.schedule.as_mut();
            let until = self.clock.now.min(self.tally.window.end.saturating_sub(1));
            let Some((number, due)) = schedule.and_then(|schedule| schedule.take(until)) else {
                return;
            };
            match self.plan.scenario {
                Scenario::Echo | Scenario::Fanout => {
                    let senders = self.messages.senders() as u64;
                    self.say((number % senders) as usize, due);
                }
                Scenario::Connect if self.peers.count() >= self.plan.connections => {
                    let told = "not begun: as many as --connections were under way";
                    self.tally.fail_due(due, told);
                }
                Scenario::Connect => {
                    let _ = self.begin(due);
                }
                Scenario::Idle => {}
            }
        }
    }

    /// Writes what was queued, a write a connection.
    fn flush(&mut self) {
        for number in self.peers.take_dirty() {
            self.clock.tick();
            if let Some((due, count)) = self.peers.take_queued(number) {
                self.handed_over(due, count);
            }
            if let Err(end) = self.peers.flush(number, &self.clock) {
                self.ended(number, &end);
            }
        }
    }

    /// Notes how late it was; in a closed loop nothing is.
    fn handed_over(&mut self, due: u64, count: u64) {
        if self.schedule.is_some() {
            self.tally.handed_over(due, count, self.clock.now);
        }
    }

    /// Now and then: who is overdue, who waits for what will not come, how many are open.
    fn sweep(&mut self) {
        let now = self.clock.now;
        if now.saturating_sub(self.swept_at) < TURN_MAX.as_nanos() as u64 {
            return;
        }
        self.swept_at = now;
        for number in self.peers.overdue(self.clock.instant) {
            if let Err(end) = self.peers.flush(number, &self.clock) {
                self.ended(number, &end);
            }
        }
        self.give_up_waiting();
        let open = self.peers.open() as u64;
        if let Some(slot) = self.tally.series.at(now, &self.tally.window) {
            slot.open = open;
        }
    }

    fn show(&mut self) {
        let (now, phase, open) = (self.clock.now, self.phase, self.peers.open());
        self.progress.show(self.clock.instant, || {
            self.live.look(now, phase, self.plan, &self.tally, open)
        });
    }

    fn figures(&self) -> Figures {
        let window = &self.tally.window;
        Figures {
            seconds: (window.end - window.start) as f64 / 1e9,
            processor: processor_time().saturating_sub(self.processor),
            ran_for: Duration::from_nanos(
                self.clock.now.saturating_sub(
                    window
                        .start
                        .saturating_sub(self.plan.warmup.as_nanos() as u64),
                ),
            ),
            is_stopped: self.interrupts > 0,
            open: self.peers.open_at_the_end(),
        }
    }
}
