//! `cargo xtask bench many`: a hundred thousand connections on one machine. A process may have 20,000 files, so that there are
//! several servers, each with a crowd of its own in one room of the chat; and ten thousand clients that arrive in one second.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::arena::Arena;
use super::crowd::Crowd;
use super::growth::count;
use super::load::number;
use super::stage::{self, Server, built};
use super::{home, provenance, save};

/// What one server takes: it and the crowd have a file for each, of 20,000.
const EACH_MAX: u64 = 18_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many, on as many servers as it takes
    #[arg(long, default_value_t = 100_000)]
    connections: u64,
    /// How many arrive in one second
    #[arg(long, default_value_t = 10_000)]
    arrivals: u64,
    /// Do not write the page
    #[arg(long)]
    dry: bool,
}

/// A server and who is in its room.
struct Place {
    server: Server,
    crowd: Crowd,
    /// Its memory without them.
    base: u64,
}

/// The command.
pub(super) fn run(args: &Args) -> Result<()> {
    ensure!(
        args.connections > 1 && (2..=EACH_MAX).contains(&args.arrivals),
        "2 arrivals to {EACH_MAX}, 2 connections or more"
    );
    stage::build(&["load"])?;
    let arena = Arena::open()?;
    let stay = stay(&arena, args.connections)?;
    let arrivals = ["/echo", "/ws?room=many"].map(|path| arrive(&arena, path, args.arrivals));
    let [echo, chat] = arrivals;
    let (echo, chat) = (echo?, chat?);
    let about = format!("{} Run {}.", provenance()?, arena.about());
    let page = page(&stay, args.arrivals, [&echo, &chat], &about)?;
    println!("\n{page}");
    if args.dry {
        return Ok(());
    }
    let folder = home().join("results");
    save(&folder.join("many.md"), &page)?;
    let all = json!({ "about": about, "stay": stay, "arrive": { "echo": echo, "chat": chat } });
    save(
        &folder.join("many.json"),
        &(serde_json::to_string(&all)? + "\n"),
    )
}

/// All come, each answers, each hears one message.
fn stay(arena: &Arena, connections: u64) -> Result<Value> {
    let servers = connections.div_ceil(EACH_MAX);
    let before = kernel()?;
    let (mut places, mut come) = (Vec::new(), 0);
    for number in 0..servers {
        let share = connections / servers + u64::from(number < connections % servers);
        places.push(open(arena, number, share)?);
        come += share;
        println!(
            "   [{}/{servers}] {} of {} connections are there",
            number + 1,
            count(come),
            count(connections)
        );
    }
    let grown = places.iter().map(|place| {
        let now = resident(place.server.pid())?;
        Ok(now.saturating_sub(place.base))
    });
    let grown = grown.sum::<Result<u64>>()?;
    let kernel = kernel()?.saturating_sub(before);
    let pings = all(&mut places, "ping")?;
    println!("   {} pings were answered", count(pings));
    let heard = all(
        &mut places,
        r#"say {"type":"room_msg","roomId":"many","content":"to everybody, once"}"#,
    )?;
    println!("   {} heard what one in each room said", count(heard));
    ensure!(
        pings == connections && heard == connections - servers,
        "somebody heard nothing"
    );
    for place in places {
        place.crowd.leave()?;
    }
    Ok(json!({
        "connections": connections, "servers": servers, "pings": pings, "heard": heard,
        "server_bytes_each": grown as f64 / connections as f64,
        "kernel_bytes": kernel,
    }))
}

fn open(arena: &Arena, number: u64, share: u64) -> Result<Place> {
    let name = format!("many-{number}");
    let options = "--workers 1 --data memory";
    let server = Server::tidewire(&name, arena.server(&stage::tidewire()), options)?;
    // One comes and goes first: what is made once does not count.
    let first = "crowd --path /ws?room=many --welcome --leave --connections 1";
    stage::figures(&mut server.load(arena.load(&built("load")), first))?;
    let base = resident(server.pid())?;
    let words = format!("crowd --path /ws?room=many --welcome --sources 100 --connections {share}");
    let crowd = Crowd::gather(server.load(arena.load(&built("load")), &words))?;
    Ok(Place {
        server,
        crowd,
        base,
    })
}

/// Gives all crowds an order at once, and returns how many have heard something.
fn all(places: &mut [Place], order: &str) -> Result<u64> {
    for place in &mut *places {
        place.crowd.order(order)?;
    }
    let heard = places.iter_mut().map(|place| {
        let answer = place.crowd.answer()?;
        answer["heard"]
            .as_u64()
            .context("an answer without a number")
    });
    heard.sum()
}

/// So many come in a second, to a server without any, and go.
fn arrive(arena: &Arena, path: &str, arrivals: u64) -> Result<Value> {
    let options = "--workers 1 --data memory";
    let server = Server::tidewire("arrive", arena.server(&stage::tidewire()), options)?;
    let welcome = if path == "/echo" { "" } else { "--welcome" };
    let words = format!(
        "crowd --path {path} {welcome} --leave --sources 100 --connections {arrivals} --rate {arrivals}"
    );
    let figures = stage::figures(&mut server.load(arena.load(&built("load")), &words))?;
    println!(
        "   {} of {} who came to {path} in a second were served, the last after {:.2} s",
        figures["come"],
        count(arrivals),
        number(&figures, "/seconds")?
    );
    Ok(figures)
}

/// Bytes of a process' resident memory.
fn resident(pid: u32) -> Result<u64> {
    let page = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    kibibytes(&page, &["Rss"])
}

/// Bytes that the kernel has for itself, whatever for.
fn kernel() -> Result<u64> {
    let page = fs::read_to_string("/proc/meminfo")?;
    kibibytes(&page, &["Slab", "KernelStack", "PageTables", "VmallocUsed"])
}

/// The sum of lines such as `Slab:  123 kB`, in bytes.
fn kibibytes(page: &str, names: &[&str]) -> Result<u64> {
    let values = names.iter().map(|name| {
        let value = page.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            value.split_whitespace().next()?.parse::<u64>().ok()
        });
        let value = value.with_context(|| format!("no line {name}"))?;
        Ok(value * 1024)
    });
    values.sum()
}

fn page(stay: &Value, arrivals: u64, arrived: [&Value; 2], about: &str) -> Result<String> {
    let of = |name: &str| number(stay, &format!("/{name}"));
    let connections = of("connections")?;
    let mut text = format!(
        "# Many connections\n\n\
         {} connections of the chat on {} servers of one worker, each server with one room, on one processor; the clients on the other. \
         Each sent a ping and got its pong ({}), then one in each room said something, which each of the others got once ({}).\n\n\
         * Memory of the servers: {:.0} bytes of RSS for each connection.\n\
         * Memory of the kernel for both ends and for the processes' tables: {:.0} MiB, {:.1} KiB for each connection.\n\n\
         | {} arrive in one second | served | lost | until the last is served | p50 | p99 | longest |\n|---|---|---|---|---|---|---|\n",
        count(connections as u64),
        of("servers")?,
        count(of("pings")? as u64),
        count(of("heard")? as u64),
        of("server_bytes_each")?,
        of("kernel_bytes")? / f64::from(1 << 20),
        of("kernel_bytes")? / connections / 1024.0,
        count(arrivals),
    );
    for (name, figures) in ["echo, until 101", "chat, until `welcome`"]
        .iter()
        .zip(arrived)
    {
        let milliseconds = |part: &str| -> Result<f64> {
            Ok(number(figures, &format!("/latency_us/{part}"))? / 1000.0)
        };
        let come = number(figures, "/come")? as u64;
        text.push_str(&format!(
            "| {name} | {} | {} | {:.2} s | {:.1} ms | {:.1} ms | {:.1} ms |\n",
            count(come),
            arrivals - come,
            number(figures, "/seconds")?,
            milliseconds("p50")?,
            milliseconds("p99")?,
            milliseconds("max")?,
        ));
    }
    text.push_str(&format!(
        "\nThe time is from when a client was due. `cargo xtask bench many` runs it again. {about}\n"
    ));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_memory_is_added_up() {
        let page = "MemTotal: 9 kB\nSlab:    2 kB\nSlabOther: 7 kB\nKernelStack: 3 kB\n";
        assert_eq!(
            kibibytes(page, &["Slab", "KernelStack"]).ok(),
            Some(5 * 1024)
        );
        assert!(kibibytes(page, &["PageTables"]).is_err());
    }

    #[test]
    fn who_was_lost_is_in_the_table() {
        let stay = json!({
            "connections": 1000, "servers": 1, "pings": 1000, "heard": 999,
            "server_bytes_each": 500.0, "kernel_bytes": 4 << 20,
        });
        let latency = json!({ "p50": 1000.0, "p99": 2000.0, "max": 3000.0 });
        let arrived = json!({ "come": 98, "seconds": 1.05, "latency_us": latency });
        let page = page(&stay, 100, [&arrived, &arrived], "").expect("all figures are there");
        assert!(
            page.contains("| echo, until 101 | 98 | 2 | 1.05 s | 1.0 ms | 2.0 ms | 3.0 ms |"),
            "{page}"
        );
        assert!(page.contains("4 MiB, 4.1 KiB for each"), "{page}");
    }
}
