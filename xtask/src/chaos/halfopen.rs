//! `cargo xtask chaos halfopen`: clients that are gone without a word. Some are behind a link that goes down (in a network
//! namespace of their own, which needs root and `ip`), some are stopped; all are to be given up in time, though the server goes on
//! writing to them, while those that are well stay. And a server that was itself stopped is to blame nobody.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::crowds;
use crate::server::Server;
use crate::{exec, server};

const NAMESPACE: &str = "tidewire-halfopen";
const LINK: &str = "tw-half0";
const PEER_LINK: &str = "tw-half1";

/// Of the range for examples (RFC 2544), which nobody else has.
const OURS: &str = "198.18.77.1";
const THEIRS: &str = "198.18.77.2";

/// How long anything may take that has no time of its own.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Clients of each kind: behind the link, stopped, and well
    #[arg(long, value_name = "N", default_value_t = 1000)]
    clients: u64,
    /// The server's --heartbeat, in seconds
    #[arg(long, value_name = "N", default_value_t = 5)]
    heartbeat: u64,
    /// The server's --pong-wait, in seconds
    #[arg(long, value_name = "N", default_value_t = 2)]
    pong_wait: u64,
    /// How long the server is stopped, in seconds
    #[arg(long, value_name = "N", default_value_t = 60)]
    stopped: u64,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    give_up_who_is_gone(args)?;
    crowds::run(
        "standstill",
        &[
            ("TIDEWIRE_CLIENTS", 5000),
            ("TIDEWIRE_STOPPED_SECONDS", args.stopped),
        ],
    )
}

fn give_up_who_is_gone(args: &Args) -> Result<()> {
    let _namespace = Namespace::make()?;
    let (heartbeat, pong_wait) = (
        format!("{}s", args.heartbeat),
        format!("{}s", args.pong_wait),
    );
    // Those behind the link have one address, and come at once.
    let options = ["--heartbeat", &heartbeat, "--pong-wait", &pong_wait];
    let options = [&options[..], &["--address-connections-per-second", "0"]].concat();
    // Those behind the link are not at loopback, and have no token.
    let open = ["--listen", "0.0.0.0:0", "--insecure-no-auth"];
    let server = Server::start(&[&options[..], &open].concat())?;
    let port: u16 = server
        .address()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .parse()?;
    let binary = server::build()?;
    let crowd = |mut command: Command, host: &str| -> Result<Crowd> {
        let url = format!("http://{host}:{port}");
        command.args(["bench", &url, "--scenario", "idle", "--duration", "1h"]);
        command.args(["--connections", &args.clients.to_string()]);
        Crowd::start(command)
    };
    let mut inside = exec::command("ip");
    inside.args(["netns", "exec", NAMESPACE]).arg(&binary);
    let _behind = crowd(inside, OURS)?;
    let stopped = crowd(exec::command(&binary), "127.0.0.1")?;
    let _well = crowd(exec::command(&binary), "127.0.0.1")?;
    // And the one that asks.
    wait_until("all have come", port, PATIENCE, |connections| {
        connections > 3 * args.clients
    })?;
    println!(
        "   {} clients behind a link, {0} to be stopped, {0} that stay well",
        args.clients
    );
    ip(&["-n", NAMESPACE, "link", "set", PEER_LINK, "down"])?;
    stopped.signal("STOP")?;
    let in_time = Duration::from_secs(args.heartbeat + args.pong_wait + 1);
    let took = wait_until("they are gone", port, PATIENCE, |connections| {
        connections <= args.clients + 1
    })?;
    println!(
        "   gone after {:.1} s, of {} s",
        took.as_secs_f64(),
        in_time.as_secs()
    );
    if took > in_time {
        bail!("they are to be given up within heartbeat, pong wait and a second");
    }
    // For as long again the others stay.
    let until = Instant::now() + in_time;
    while Instant::now() < until {
        let connections = publish_and_count(port)?;
        if connections != args.clients + 1 {
            bail!("{connections} connections, where {} are well", args.clients);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    println!("   the {} others are there", args.clients);
    server.stop()
}

/// Writes to everybody all the time, until it holds for the number of connections; returns how long that took.
fn wait_until(
    what: &str,
    port: u16,
    time: Duration,
    holds: impl Fn(u64) -> bool,
) -> Result<Duration> {
    let start = Instant::now();
    loop {
        let connections = publish_and_count(port)?;
        if holds(connections) {
            return Ok(start.elapsed());
        }
        if start.elapsed() > time {
            bail!("waited {time:?} in vain until {what}: {connections} connections");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Tells everybody something, so that the server has to write to who is gone; returns how many connections there are.
fn publish_and_count(port: u16) -> Result<u64> {
    let body = r#"{"content":"is anybody there?"}"#;
    let told = ask(
        port,
        &format!(
            "POST /api/broadcast HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Host: localhost\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    )?;
    if !told.starts_with("HTTP/1.1 200") {
        bail!("it takes no message: {told}");
    }
    let health = ask(
        port,
        "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    let (_, body) = health.split_once("\r\n\r\n").context("no body")?;
    let health: Value = serde_json::from_str(body)?;
    health["connections"].as_u64().context("no count")
}

fn ask(port: u16, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A namespace with a link to ours; gone when it is dropped.
struct Namespace;

impl Namespace {
    fn make() -> Result<Self> {
        ip(&["netns", "add", NAMESPACE]).context("this needs root, and the command `ip`")?;
        let namespace = Self;
        ip(&[
            "link", "add", LINK, "type", "veth", "peer", "name", PEER_LINK, "netns", NAMESPACE,
        ])?;
        ip(&["addr", "add", &format!("{OURS}/24"), "dev", LINK])?;
        ip(&["link", "set", LINK, "up"])?;
        ip(&[
            "-n",
            NAMESPACE,
            "addr",
            "add",
            &format!("{THEIRS}/24"),
            "dev",
            PEER_LINK,
        ])?;
        ip(&["-n", NAMESPACE, "link", "set", PEER_LINK, "up"])?;
        Ok(namespace)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A namespace ends some time after the last process in it: its end of the link would stay for as long.
        let _ = ip(&["link", "del", LINK]);
        let _ = ip(&["netns", "del", NAMESPACE]);
    }
}

fn ip(words: &[&str]) -> Result<()> {
    exec::output(exec::command("ip").args(words)).map(drop)
}

/// Clients in a process of their own, which ends when it is dropped.
struct Crowd(Child);

impl Crowd {
    fn start(mut command: Command) -> Result<Self> {
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self(quiet.spawn()?))
    }

    fn signal(&self, name: &str) -> Result<()> {
        let kill = format!("kill -{name} {}", self.0.id());
        exec::output(exec::command("sh").args(["-c", &kill])).map(drop)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
