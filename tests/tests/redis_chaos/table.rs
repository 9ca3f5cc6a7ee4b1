//! What a campaign has measured, as a line of the table that `cargo xtask chaos redis` prints. Nothing here is asserted.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::campaign::Campaign;

/// The line.
pub(crate) fn row(campaign: &Campaign, report: &str, took: Duration) -> String {
    let word = |name: &str| {
        let mut lines = report.lines().map(str::trim_start);
        let rest = lines.find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()
    };
    let number = |name: &str| {
        let digits = word(name).unwrap_or("0").replace(',', "");
        digits.parse::<u64>().unwrap_or_default()
    };
    let mut returns = campaign.returns.clone();
    returns.sort_unstable();
    let at = |share: usize| returns.get(returns.len() * share / 100).or(returns.last());
    let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
    let counts = campaign.pulse.counts();
    let deliveries = number("deliveries") + counts.shown;
    let away = word("away until it follows again, max");
    let away: f64 = away.and_then(|ms| ms.parse().ok()).unwrap_or_default();
    let times = Times::of(campaign);
    format!(
        "| {} | {} | {} | {} | {deliveries}, {:.0}/s | {} | {} | {} | {:.2} s | {:.2} s, {:.2} s | {:.2} s | {}, {} | {}, {} |",
        campaign.name,
        returns.len(),
        number("acknowledged"),
        number("lost, and told by a gap"),
        deliveries as f64 / took.as_secs_f64(),
        number("violations"),
        number("gaps") + counts.gaps,
        number("reconnects") + counts.returns,
        seconds(campaign.acks.iter().max()),
        seconds(at(50)),
        seconds(returns.last()),
        away / 1e3,
        p99(times.calm.acks),
        p99(times.troubled.acks),
        p99(times.calm.deliveries),
        p99(times.troubled.deliveries),
    )
}

/// How long it took at those who lost no node: from a post to its ack, if the first node that was asked gave it; and to an event
/// stream that was there before.
#[derive(Default)]
struct Times {
    calm: Part,
    troubled: Part,
}

#[derive(Default)]
struct Part {
    acks: Vec<Duration>,
    deliveries: Vec<Duration>,
}

impl Times {
    fn of(campaign: &Campaign) -> Self {
        let mut times = Self::default();
        let troubled_since = campaign.troubled_since.unwrap_or_else(Instant::now);
        for room in 0..campaign.pulse.rooms() {
            let (mut calm, mut troubled) = (HashSet::new(), HashSet::new());
            let said = campaign.pulse.said(room).into_iter();
            for said in said.filter(|said| said.tries == 1) {
                if said.began >= troubled_since {
                    troubled.insert(said.number);
                    times.troubled.acks.push(said.took);
                } else if said.began >= campaign.calm_since {
                    calm.insert(said.number);
                    times.calm.acks.push(said.took);
                }
            }
            for (number, took) in campaign.pulse.deliveries(room) {
                if calm.contains(&number) {
                    times.calm.deliveries.push(took);
                } else if troubled.contains(&number) {
                    times.troubled.deliveries.push(took);
                }
            }
        }
        times
    }
}

/// The 99th of a hundred.
fn p99(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = times.get(times.len() * 99 / 100);
    at.map_or("-".to_owned(), |time| {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    })
}
