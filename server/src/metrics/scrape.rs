//! What Prometheus scrapes: all that workers, the log's thread and the kernel count, as families with names and help.

use std::time::Instant;

use super::exposition::{Exposition, Seconds, Type};
use super::{Counters, Described, Kind, Status, process};

impl Counters {
    fn describe(self, text: &mut Exposition) {
        let numbers = self.to_numbers();
        let all: Vec<_> = Self::DESCRIBED.iter().zip(numbers).collect();
        for family in all.chunk_by(|(a, _), (b, _)| a.family == b.family) {
            let Some((first, _)) = family.first() else {
                continue;
            };
            let Described {
                kind,
                family: name,
                help,
                ..
            } = *first;
            let values = family.iter().map(|(of, number)| (of.label, *number));
            let in_seconds = values
                .clone()
                .map(|(label, number)| (label, Seconds(number)));
            match kind {
                Kind::Counter => text.many(Type::Counter, &format!("{name}_total"), help, values),
                Kind::Gauge => text.many(Type::Gauge, name, help, values),
                Kind::Time => {
                    text.many(
                        Type::Counter,
                        &format!("{name}_seconds_total"),
                        help,
                        in_seconds,
                    );
                }
                Kind::LongestTime => {
                    text.many(Type::Gauge, &format!("{name}_seconds"), help, in_seconds);
                }
            }
        }
    }
}

impl Status {
    /// What Prometheus scrapes, at this time.
    pub(crate) fn to_metrics(&self, now: Instant) -> String {
        let mut text = Exposition::default();
        let build = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        text.many(
            Type::Gauge,
            "build_info",
            "Always 1; the label tells which version this is.",
            [(build, 1)],
        );
        let workers = self.workers();
        text.one(Type::Gauge, "workers", "Threads that serve.", workers);
        let help = "How many connections there can be.";
        text.one(Type::Gauge, "connections_max", help, self.connections_max);
        self.sum().describe(&mut text);
        self.describe_ends(&mut text);
        let mut durations = self.durations;
        self.others()
            .for_each(|(_, other)| durations.merge(&other.durations()));
        let help = "Turns of the loop, from when there were events to when they were dealt with.";
        text.histogram("turn_seconds", help, &durations.turn);
        let help = "Messages from when they came to when each worker had handed them to those who follow, to within a millisecond.";
        text.histogram("delivery_seconds", help, &durations.delivery);
        let help = "Canaries from when they were sent to when each worker had them delivered.";
        text.histogram("canary_seconds", help, &durations.canary);
        self.describe_readiness(&mut text, now);
        self.board.log.describe(&mut text);
        let help = "Lines of the log that found the queue to standard error full.";
        text.one(
            Type::Counter,
            "log_lines_dropped_total",
            help,
            crate::logging::dropped(),
        );
        process::describe(&mut text, self.board.started.unix_ms);
        text.into_text()
    }

    /// Every cause from the start: one that appears when it first happens is a rise that nobody sees.
    fn describe_ends(&self, text: &mut Exposition) {
        let ends = self.ends.iter();
        let ends = ends.map(|(cause, count)| (format!("cause=\"{}\"", cause.label()), count));
        let help = "Connections that ended, by why: WHY.md has a line for each cause.";
        text.many(Type::Counter, "connections_ended_total", help, ends);
    }

    fn describe_readiness(&self, text: &mut Exposition, now: Instant) {
        let ready = u8::from(self.readiness(now).is_ready());
        text.one(Type::Gauge, "ready", "1 while /ready answers 200.", ready);
        let ages = self.board.readiness.ages(self.uptime(now));
        let ages = ages.enumerate();
        let ages = ages.map(|(worker, age)| {
            (
                format!("worker=\"{worker}\""),
                Seconds(age.as_nanos() as u64),
            )
        });
        let help = "Time since each worker had a canary delivered, or since the start.";
        text.many(Type::Gauge, "canary_age_seconds", help, ages);
    }
}
