//! What one node and two nodes on the same Redis deliver, with `tidewire verify` as publishers and followers: nothing counts that is not
//! delivered once and in order.

use std::process::{Child, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use super::super::load::median;
use super::super::stage::free_port;
use super::{Redis, Saves, cpu_seconds, release};
use crate::{exec, server};

/// Messages a second that are offered where the load is fixed.
const RATE: u32 = 1000;

/// What was measured in one round.
#[derive(Debug, Default, Clone)]
pub(super) struct Samples {
    per_second: Vec<f64>,
    /// Processor seconds for a million deliveries: of the busiest node, of all nodes, of Redis.
    node: Vec<f64>,
    nodes: Vec<f64>,
    redis: Vec<f64>,
}

/// A server that ends with this.
struct Node {
    child: Child,
    address: String,
}

const INTRODUCTION: &str = "\
`tidewire verify` has 16 publishers and 100 followers in 4 rooms (each in one), spread over the nodes, which have one worker each and share a Redis with
`appendonly no`. Its clients, nodes and Redis share two processors, so that what is delivered a second is a figure of all of them together and
cannot grow with a node; what a node has to do for a delivery is what tells how far nodes share the work: at the same load, a node of two
has the processor for as many times more as it uses less.";

/// Measures, and returns the part of the page.
pub(super) fn run(rounds: usize, seconds: u64) -> Result<String> {
    let mut rows = [1, 2].map(|nodes| (nodes, [Samples::default(), Samples::default()]));
    for round in 1..=rounds {
        println!("   nodes, round {round}/{rounds}");
        for (nodes, samples) in &mut rows {
            let [fixed, most] = samples;
            fixed.measure(*nodes, Some(RATE), seconds)?;
            most.measure(*nodes, None, seconds)?;
        }
    }
    Ok(page(&rows))
}

impl Samples {
    fn measure(&mut self, count: usize, rate: Option<u32>, seconds: u64) -> Result<()> {
        let redis = Redis::start(Saves::Nothing, false)?;
        let nodes = (0..count).map(|number| Node::start(&redis, number));
        let nodes: Vec<Node> = nodes.collect::<Result<_>>()?;
        let mut verify = exec::command(release("tidewire"));
        verify.arg("verify");
        for node in &nodes {
            verify.arg(format!("ws://{}", node.address));
        }
        verify.args(["--publishers", "16", "--subscribers", "100"]);
        verify.args(["--rooms", "4", "--rooms-each", "1"]);
        verify.args(["--for", &format!("{seconds}s")]);
        if let Some(rate) = rate {
            verify.args(["--rate", &rate.to_string()]);
        }
        let before = used(&nodes)?;
        let (began, redis_before) = (Instant::now(), cpu_seconds(redis.pid())?);
        let said = exec::output(&mut verify)?;
        let took = began.elapsed().as_secs_f64();
        let deliveries = deliveries(&said).with_context(|| format!("verify said {said}"))?;
        let each = used(&nodes)?;
        let each: Vec<f64> = each
            .iter()
            .zip(&before)
            .map(|(end, begin)| end - begin)
            .collect();
        let of_million = |seconds: f64| seconds / deliveries * 1e6;
        self.per_second.push(deliveries / took);
        self.node
            .push(of_million(each.iter().copied().fold(0.0, f64::max)));
        self.nodes.push(of_million(each.iter().sum()));
        self.redis
            .push(of_million(cpu_seconds(redis.pid())? - redis_before));
        Ok(())
    }
}

fn used(nodes: &[Node]) -> Result<Vec<f64>> {
    nodes
        .iter()
        .map(|node| cpu_seconds(node.child.id()))
        .collect()
}

/// The row of verify's table.
fn deliveries(said: &str) -> Option<f64> {
    let row = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("deliveries"))?;
    row.trim().replace(',', "").parse().ok()
}

impl Node {
    fn start(redis: &Redis, number: usize) -> Result<Self> {
        let mut command = exec::command(release("tidewire"));
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{}", free_port()?)])
            .args(["--workers", "1", "--messages-per-second", "0"])
            .args(["--node", &format!("n{number}"), "--data", "memory"])
            .args(["--log", &format!("redis://{}", redis.address())]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().context("it was piped")?;
        let mut node = Self {
            child,
            address: String::new(),
        };
        node.address = server::address(&server::first_line(stdout)?)?;
        Ok(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn page(rows: &[(usize, [Samples; 2])]) -> String {
    let mut text = format!(
        "## Nodes\n\n{INTRODUCTION}\n\n\
        | nodes | load | deliveries/s | CPU s per million deliveries: the busiest node | all nodes | Redis |\n|---|---|---|---|---|---|\n"
    );
    for (nodes, samples) in rows {
        let loads = [format!("{RATE} messages/s"), "as much as goes".to_owned()];
        for (load, samples) in loads.iter().zip(samples) {
            text.push_str(&format!(
                "| {nodes} | {load} | {:.0} | {:.2} | {:.2} | {:.2} |\n",
                median(samples.per_second.clone()),
                median(samples.node.clone()),
                median(samples.nodes.clone()),
                median(samples.redis.clone()),
            ));
        }
    }
    let busiest = |nodes: usize, load: usize| {
        let row = rows.iter().find(|row| row.0 == nodes);
        let samples = row.and_then(|row| row.1.get(load));
        samples.map_or(f64::NAN, |samples| median(samples.node.clone()))
    };
    text.push_str(&format!(
        "\nFor a delivery, the busiest of two nodes uses {:.2} times less than the only one does where as much comes as goes, and {:.2} times less at the \
        load that both have; with a processor for each, two would deliver as many times more. That is reckoned, and not measured on this machine.\n",
        busiest(1, 1) / busiest(2, 1),
        busiest(1, 0) / busiest(2, 0)
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_read_from_the_table() {
        let table = "  messages        1,000   in 5.0 s\n  deliveries                    123,456\n";
        assert_eq!(deliveries(table), Some(123_456.0));
        assert_eq!(deliveries("nothing"), None);
    }

    #[test]
    fn the_page_says_how_much_less_a_node_does() {
        let samples = |node: f64| Samples {
            per_second: vec![1000.0],
            node: vec![node],
            nodes: vec![2.0 * node],
            redis: vec![1.0],
        };
        let rows = [
            (1, [samples(8.0), samples(8.0)]),
            (2, [samples(4.0), samples(5.0)]),
        ];
        let page = page(&rows);
        assert!(page.contains("uses 1.60 times less"), "{page}");
        assert!(page.contains("and 2.00 times less"), "{page}");
        assert!(
            page.contains("| 2 | as much as goes | 1000 | 5.00 | 10.00 | 1.00 |"),
            "{page}"
        );
    }
}
