//! What an end looks like to somebody who has seen many: a guess, in a sentence that says what to look at.
//!
//! Pure, and a table: the first rule that has something to say about a report says it.

use super::cause::EndCause;
use super::report::{Frame, Report};

/// How exact an idle time is that is taken for somebody's timeout, in milliseconds.
const EXACT_MS: u64 = 500;

/// How shortly behind a frame an end is taken for its consequence, in milliseconds.
const AT_ONCE_MS: u64 = 250;

/// A message from this size on may be too large for something between.
const LARGE_BYTES: u64 = 64 << 10;

/// Idle times after which well-known proxies end a connection, in seconds, as they come.
const TIMEOUTS: [(u64, &str); 9] = [
    (50, "HAProxy's `timeout client`, as Debian ships it"),
    (55, "the router of Heroku"),
    (
        60,
        "a proxy's read timeout: nginx's `proxy_read_timeout`, or an AWS load balancer",
    ),
    (100, "Cloudflare"),
    (230, "Azure's App Service"),
    (240, "Azure's load balancer"),
    (
        300,
        "a proxy's timeout of five minutes, as Envoy has for streams",
    ),
    (350, "AWS's network load balancer"),
    (600, "Google's load balancer"),
];

const RULES: [fn(&Report) -> Option<String>; 9] = [
    too_large,
    timed_out,
    pong,
    closed_by_us,
    left,
    slow,
    cut,
    replaced,
    before,
];

/// What the end of a connection looks like; `None` if nothing more than its cause is to be said.
pub(super) fn hint(report: &Report) -> Option<String> {
    RULES.iter().find_map(|rule| rule(report))
}

const fn is_cut(cause: EndCause) -> bool {
    matches!(
        cause,
        EndCause::ClientEof | EndCause::ClientReset | EndCause::Unreachable
    )
}

fn last_data(report: &Report) -> Option<&Frame> {
    let frames = report.flight.as_ref()?.frames.iter().rev();
    let mut data =
        frames.filter(|frame| !matches!(frame.opcode.as_str(), "ping" | "pong" | "close"));
    data.next()
}

// ---- the rules ----

fn too_large(report: &Report) -> Option<String> {
    let (cause, ended_at) = (report.cause?, report.ended_at?);
    let last = last_data(report)?;
    let length = last.length;
    if cause == EndCause::MessageTooBig {
        return Some(format!(
            "a frame of {length} bytes came: that much is for POST /api/files, not for a message"
        ));
    }
    let is_told = report.close_received.as_ref().map(|close| close.code) == Some(1009);
    if cause == EndCause::ClientClose && is_told {
        return Some(format!(
            "the client takes no message of {length} bytes: raise its limit (`maxPayload`, `max_size`)"
        ));
    }
    let is_at_once = ended_at.saturating_sub(last.at) <= AT_ONCE_MS;
    (is_cut(cause) && is_at_once && length >= LARGE_BYTES).then(|| large_and_cut(last))
}

fn large_and_cut(last: &Frame) -> String {
    let (length, way) = (last.length, if last.sent { "to" } else { "from" });
    format!(
        "it was cut right behind {length} bytes {way} the client: looks like a limit of something between, or of the client"
    )
}

fn timed_out(report: &Report) -> Option<String> {
    let (cause, ended_at) = (report.cause?, report.ended_at?);
    let flight = report.flight.as_ref().filter(|_| is_cut(cause))?;
    // A proxy counts from what it read of one side, or of either.
    let since = |last: Option<u64>| ended_at.saturating_sub(last.unwrap_or(report.opened_at));
    let idle = [
        ended_at.saturating_sub(report.last_frame_at()),
        since(flight.sent.last_at),
        since(flight.received.last_at),
    ];
    TIMEOUTS.iter().find_map(|(seconds, whose)| {
        let is_it = |idle: &u64| idle.abs_diff(seconds * 1000) <= EXACT_MS;
        idle.iter().find(|idle| is_it(idle)).map(|idle| {
            let exact = *idle as f64 / 1000.0;
            format!(
                "idle for exactly {exact:.1} s: looks like {whose}; set --heartbeat below {seconds} s, or that timeout above it"
            )
        })
    })
}

fn pong(report: &Report) -> Option<String> {
    if report.cause? != EndCause::HeartbeatLost {
        return None;
    }
    Some(match report.tcp {
        Some(tcp) if tcp.unacked > 0 => format!(
            "{} segments were not acknowledged and the oldest was sent again {} times: the host or the network is gone, \
             not only the program",
            tcp.unacked, tcp.retransmits
        ),
        Some(_) => "the client's system acknowledged our ping and the program did not answer: it hangs or is suspended (a \
                    closed lid, a telephone that sleeps), or a proxy acknowledges for one that is gone"
            .to_owned(),
        None => "the client was there for TCP and did not answer: it hangs, is suspended, or its network is gone".to_owned(),
    })
}

fn closed_by_us(report: &Report) -> Option<String> {
    let is_ours = !is_cut(report.cause?) && report.close_sent.is_some();
    let is_reset = report.error.as_ref()?.contains("reset");
    (is_ours && is_reset && report.close_received.is_none()).then(|| {
        "the client reset the connection upon our Close frame: it did not read what it was sent, perhaps not the reason either"
            .to_owned()
    })
}

fn left(report: &Report) -> Option<String> {
    if report.cause? != EndCause::ClientClose {
        return None;
    }
    let sentence = match report.close_received.as_ref()?.code {
        1001 => "the page was left, reloaded or its tab closed; an app was put away",
        1002 | 1007 => {
            "the client says that we broke the protocol: does something between change what passes?"
        }
        1011 => "the client says that it failed",
        _ => return None,
    };
    Some(sentence.to_owned())
}

fn slow(report: &Report) -> Option<String> {
    if report.cause? != EndCause::Slow {
        return None;
    }
    let unsent = report.unsent_bytes;
    Some(match report.tcp {
        Some(tcp) if tcp.retransmits_in_all > 0 || tcp.lost > 0 => format!(
            "its network is slow or loses much: {} segments were sent again, the round trip is {} ms",
            tcp.retransmits_in_all,
            tcp.rtt_us / 1000
        ),
        Some(tcp) if tcp.probes > 0 || unsent > 0 => {
            format!("its program does not read: {unsent} bytes wait here, and its window is shut")
        }
        Some(_) | None => {
            "its program reads less than its rooms say: does it do its work before it reads on?"
                .to_owned()
        }
    })
}

fn cut(report: &Report) -> Option<String> {
    let cause = report.cause?;
    // An event stream has no other end.
    if report.kind == "stream" && cause != EndCause::Unreachable {
        return None;
    }
    let sentence = if cause == EndCause::ClientEof && report.duration_ms < 1000 {
        "it was gone within a second and said no goodbye: a check of a port, or a client that did not like the welcome"
    } else if cause == EndCause::ClientEof {
        "no Close frame came: its program ended or was killed, or a proxy on the way was restarted"
    } else if cause == EndCause::ClientReset {
        "its system reset the connection: the program ended with something unread, was killed, or a firewall forgot it"
    } else if cause == EndCause::Unreachable {
        "nothing was acknowledged any more: the host or the network is gone"
    } else if cause == EndCause::TlsFailed {
        "a client that does not speak TLS, or does not trust the certificate"
    } else {
        return None;
    };
    Some(sentence.to_owned())
}

fn replaced(report: &Report) -> Option<String> {
    (report.cause? == EndCause::Replaced).then(|| {
        "it came back before the old connection was known to be gone, or two use one session: each tab needs its own".to_owned()
    })
}

fn before(report: &Report) -> Option<String> {
    let sentence = match (report.cause?, report.status) {
        (EndCause::HandshakeTimeout, _) => {
            "it connected and sent no whole request: a port scanner, a check of a load balancer, TLS to a port without it, or \
             an attack with slow heads"
        }
        (EndCause::HandshakeRefused, Some(400 | 426)) => {
            "if this was a browser, something between does not pass on `Upgrade` and `Connection` (see deploy/nginx.conf)"
        }
        (EndCause::HandshakeRefused, Some(401 | 403)) => "its token or its origin is not accepted",
        (EndCause::Overload, _) => {
            "raise `ulimit -n`, --connections-max or --memory-max, whichever was reached, or add a server"
        }
        (EndCause::RateLimited, _) => {
            "if that is a proxy, name it with --trusted-proxy; if many are behind one address, raise --address-connections"
        }
        _ => return None,
    };
    Some(sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::account::TcpState;
    use super::super::report::tests::ended;
    use super::super::report::{Close, Flight, Way};
    use super::*;

    const NO_TCP: TcpState = TcpState {
        rtt_us: 0,
        rtt_var_us: 0,
        retransmits: 0,
        retransmits_in_all: 0,
        unacked: 0,
        lost: 0,
        probes: 0,
        congestion_window: 10,
        last_sent_ms: 0,
        last_received_ms: 0,
        last_ack_ms: 0,
    };

    /// An end at 1,060,000 ms, a minute after the beginning.
    fn report(cause: EndCause, change: impl FnOnce(&mut Report)) -> Report {
        let mut report = Report::new(&ended(cause));
        report.hint = None;
        change(&mut report);
        report
    }

    fn data(at: u64, sent: bool, length: u64) -> Flight {
        let frame = Frame {
            at,
            sent,
            opcode: "text".to_owned(),
            fin: true,
            compressed: false,
            frames: 1,
            length,
        };
        let way = Way {
            frames: 1,
            bytes: length,
            last_at: Some(at),
        };
        Flight {
            received: way,
            sent: way,
            frames: vec![frame],
            ..Flight::default()
        }
    }

    fn idle(cause: EndCause, idle_ms: u64) -> Option<String> {
        hint(&report(cause, |report| {
            let last = report.opened_at;
            report.ended_at = Some(last + idle_ms);
            report.duration_ms = idle_ms;
            report.flight = Some(data(last, true, 10));
        }))
    }

    #[track_caller]
    fn says(hint: Option<String>, words: &str) {
        let hint = hint.unwrap_or_default();
        assert!(hint.contains(words), "{hint:?} lacks {words:?}");
    }

    #[test]
    fn an_idle_time_that_is_exact_is_a_proxys() {
        for (idle_ms, whose) in [
            (60_000, "nginx"),
            (59_500, "nginx"),
            (60_500, "idle for exactly 60.5 s"),
            (100_100, "Cloudflare"),
            (350_000, "AWS's network"),
            (600_499, "Google"),
        ] {
            says(idle(EndCause::ClientEof, idle_ms), whose);
            says(idle(EndCause::ClientReset, idle_ms), whose);
        }
        for idle_ms in [59_499, 60_501, 42_000] {
            says(idle(EndCause::ClientEof, idle_ms), "no Close frame came");
        }
        says(idle(EndCause::HeartbeatLost, 60_000), "did not answer");
    }

    #[test]
    fn a_proxy_may_count_one_direction_alone() {
        let one_way = report(EndCause::ClientEof, |report| {
            let mut flight = data(report.opened_at + 30_000, false, 10);
            flight.sent.last_at = None;
            report.flight = Some(flight);
        });
        says(hint(&one_way), "nginx");
    }

    #[test]
    fn a_large_message_before_the_end_is_suspected() {
        let cut = |length, at| {
            report(EndCause::ClientReset, |report| {
                report.flight = Some(data(at, false, length));
            })
        };
        says(hint(&cut(2 << 20, 1_059_900)), "2097152 bytes from");
        says(hint(&cut(100, 1_059_900)), "its system reset");
        says(hint(&cut(2 << 20, 1_050_000)), "its system reset");
        let too_big = report(EndCause::MessageTooBig, |report| {
            report.flight = Some(data(1_059_999, false, 70_000));
        });
        says(hint(&too_big), "a frame of 70000 bytes");
        let told = report(EndCause::ClientClose, |report| {
            report.flight = Some(data(1_059_000, true, 70_000));
            report.close_received = Some(Close {
                code: 1009,
                reason: String::new(),
            });
        });
        says(hint(&told), "raise its limit");
    }

    #[test]
    fn tcp_tells_a_gone_host_from_a_program_that_hangs() {
        let lost = |tcp| report(EndCause::HeartbeatLost, |report| report.tcp = tcp);
        let gone = TcpState {
            unacked: 2,
            retransmits: 5,
            ..NO_TCP
        };
        says(hint(&lost(Some(gone))), "sent again 5 times");
        says(hint(&lost(Some(NO_TCP))), "suspended");
        says(hint(&lost(None)), "there for TCP");
        let slow = |tcp, unsent_bytes| {
            report(EndCause::Slow, |report| {
                report.tcp = Some(tcp);
                report.unsent_bytes = unsent_bytes;
            })
        };
        let lossy = TcpState {
            retransmits_in_all: 9,
            ..NO_TCP
        };
        says(hint(&slow(lossy, 0)), "loses much");
        says(hint(&slow(NO_TCP, 70_000)), "does not read: 70000 bytes");
        says(hint(&slow(NO_TCP, 0)), "before it reads on");
    }

    #[test]
    fn other_ends_have_their_sentences() {
        let with = |cause, change: fn(&mut Report)| hint(&report(cause, change));
        let close = |code| Close {
            code,
            reason: String::new(),
        };
        for (code, words) in [(1001, "tab closed"), (1002, "broke the protocol")] {
            let mut left = report(EndCause::ClientClose, |_| {});
            left.close_received = Some(close(code));
            says(hint(&left), words);
        }
        let mut normal = report(EndCause::ClientClose, |_| {});
        normal.close_received = Some(close(1000));
        assert_eq!(hint(&normal), None);
        let mut reset = report(EndCause::Slow, |report| {
            report.error = Some("connection reset by peer".to_owned());
        });
        reset.close_sent = Some(close(4008));
        says(hint(&reset), "upon our Close frame");
        says(with(EndCause::Replaced, |_| {}), "two use one session");
        says(
            with(EndCause::ClientEof, |report| report.duration_ms = 20),
            "within a second",
        );
        says(with(EndCause::Unreachable, |_| {}), "network is gone");
        says(with(EndCause::HandshakeTimeout, |_| {}), "port scanner");
        says(
            with(EndCause::HandshakeRefused, |report| {
                report.status = Some(426)
            }),
            "does not pass on `Upgrade`",
        );
        says(with(EndCause::Overload, |_| {}), "ulimit");
        for cause in [EndCause::Drain, EndCause::Kicked, EndCause::HttpDone] {
            assert_eq!(with(cause, |_| {}), None, "{cause}");
        }
        assert_eq!(
            with(EndCause::ClientEof, |report| report.kind =
                "stream".to_owned()),
            None,
            "an event stream has no other end"
        );
    }
}
