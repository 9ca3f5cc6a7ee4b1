//! A real Redis Cluster of the test's own: three primaries with a third of the slots each, and a replica of each.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::daemon::free_address;
use crate::redis::{Redis, RedisLaunch};
use crate::resp::Value;
use crate::wait::wait_until;

/// Primaries.
pub const SHARDS: usize = 3;

/// How many slots there are.
const SLOTS: usize = 16_384;

/// How long replicas may take by themselves to take a primary's place, before they are asked to.
const ALONE_MAX: Duration = Duration::from_secs(15);

/// Between two times that one is asked to.
const AGAIN: Duration = Duration::from_secs(3);

/// How long it may take in all.
const CHOICE_MAX: Duration = Duration::from_secs(90);

/// Primaries, and then their replicas in the same order; dropping it ends their processes.
#[derive(Debug)]
pub struct RedisCluster {
    servers: Vec<Redis>,
}

impl RedisCluster {
    /// One whose servers all know each other.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with("cluster-replica-no-failover no")
    }

    /// One whose primaries stay what they are, however long one of them is held up.
    #[must_use]
    #[track_caller]
    pub fn start_steady() -> Self {
        Self::start_with("cluster-replica-no-failover yes")
    }

    #[track_caller]
    fn start_with(setting: &str) -> Self {
        let start = |_| {
            let bus = free_address().port();
            let launch = RedisLaunch::default()
                .setting("cluster-enabled yes")
                .setting("cluster-node-timeout 2000")
                .setting(setting)
                // What is lost of it is not all that it has.
                .setting("cluster-require-full-coverage no")
                .setting("cluster-allow-replica-migration no")
                .setting(&format!("cluster-port {bus}"));
            (launch.start(), bus)
        };
        let (servers, buses): (Vec<_>, Vec<_>) = (0..2 * SHARDS).map(start).unzip();
        let cluster = Self { servers };
        for (server, bus) in cluster.servers.iter().zip(&buses) {
            let (port, bus) = (server.address().port().to_string(), bus.to_string());
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
            cluster.servers[0].ask(&meet);
        }
        for shard in 0..SHARDS {
            let first = (shard * SLOTS / SHARDS).to_string();
            let last = ((shard + 1) * SLOTS / SHARDS - 1).to_string();
            cluster.servers[shard].ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        wait_until("all know all", || {
            let mut servers = cluster.servers.iter();
            servers.all(|server| lines(server).count() == 2 * SHARDS)
        });
        for shard in 0..SHARDS {
            let id = cluster.id(shard);
            let replica = &cluster.servers[SHARDS + shard];
            wait_until("the replica follows", || {
                let mut client = replica.client();
                let answer = client.ask(&["CLUSTER", "REPLICATE", &id]);
                answer.is_ok_and(|answer| answer.text() == "OK")
            });
        }
        wait_until("the cluster is up", || {
            (0..SHARDS).all(|shard| cluster.is_whole(shard))
        });
        cluster
    }

    /// Whether a shard's replica is in step, and all servers know of the shard.
    fn is_whole(&self, shard: usize) -> bool {
        let (primary, replica) = (&self.servers[shard], &self.servers[SHARDS + shard]);
        let mut servers = self.servers.iter();
        let all_know = servers.all(|server| {
            let is_ok = server.ask(&["CLUSTER", "INFO"]);
            let replicas = lines(server).filter(|line| line.contains("slave"));
            is_ok.text().contains("cluster_state:ok") && replicas.count() == SHARDS
        });
        all_know && replica.is_in_step_with(primary)
    }

    /// What `--log` takes, with these of the servers named.
    #[must_use]
    pub fn url(&self, named: &[usize]) -> String {
        let addresses = named.iter().map(|index| self.servers[*index].address());
        let addresses: Vec<_> = addresses.map(|address| address.to_string()).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// One of its servers.
    #[must_use]
    pub fn server(&self, index: usize) -> &Redis {
        &self.servers[index]
    }

    /// Which of its servers has a log's keys as a primary, and in which slot.
    ///
    /// # Panics
    ///
    /// When none has.
    #[must_use]
    #[track_caller]
    pub fn owner_of(&self, log: &str) -> (usize, String) {
        let pattern = format!("*}}:log:{log}");
        let owner = self.servers.iter().enumerate().find_map(|(index, server)| {
            let mut client = server.try_client().ok()?;
            let role = client.ask(&["ROLE"]).ok()?;
            if role.parts().first()?.text() != "master" {
                return None;
            }
            let keys = client.ask(&["KEYS", &pattern]).ok()?;
            let key = keys.parts().first()?.text().to_owned();
            let slot = client.ask(&["CLUSTER", "KEYSLOT", &key]).ok()?;
            let Value::Number(slot) = slot else {
                return None;
            };
            Some((index, slot.to_string()))
        });
        owner.expect("somebody has its keys")
    }

    /// Moves a slot with all its keys, as an operator would, who takes some time for it.
    ///
    /// # Panics
    ///
    /// When Redis refuses.
    #[track_caller]
    pub fn move_slot(&self, slot: &str, from: usize, to: usize, time: Duration) {
        let (from_id, to_id) = (self.id(from), self.id(to));
        let (from, to) = (&self.servers[from], &self.servers[to]);
        to.ask(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &from_id]);
        from.ask(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &to_id]);
        let (host, port) = (
            to.address().ip().to_string(),
            to.address().port().to_string(),
        );
        loop {
            let keys = from.ask(&["CLUSTER", "GETKEYSINSLOT", slot, "1"]);
            let Some(key) = keys.parts().first().map(|key| key.text().to_owned()) else {
                break;
            };
            from.ask(&["MIGRATE", &host, &port, &key, "0", "5000"]);
            sleep(time);
        }
        for server in [to, from] {
            server.ask(&["CLUSTER", "SETSLOT", slot, "NODE", &to_id]);
        }
    }

    /// Kills a server.
    #[track_caller]
    pub fn kill(&mut self, index: usize) {
        self.servers[index].kill();
    }

    /// Starts it again.
    #[track_caller]
    pub fn come_back(&mut self, index: usize) {
        self.servers[index].come_back();
    }

    /// Whether a server is a primary.
    #[must_use]
    pub fn is_primary(&self, index: usize) -> bool {
        let client = self.servers[index].try_client();
        let role = client.and_then(|mut client| client.ask(&["ROLE"]));
        // One that ends the connection is on its way from the one to the other.
        role.is_ok_and(|role| role.parts().first().is_some_and(|it| it.text() == "master"))
    }

    /// Waits until the replica of a shard whose primary is gone has taken its place; asks it to, where the others give that up.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn wait_for_replica(&self, shard: usize) -> SocketAddr {
        let replica = &self.servers[SHARDS + shard];
        let began = Instant::now();
        let mut ask_at = began + ALONE_MAX;
        while !self.is_primary(SHARDS + shard) {
            assert!(began.elapsed() < CHOICE_MAX, "no replica takes over");
            if ask_at <= Instant::now() {
                let _ = replica.client().ask(&["CLUSTER", "FAILOVER", "FORCE"]);
                ask_at = Instant::now() + AGAIN;
            }
            sleep(Duration::from_millis(50));
        }
        replica.address()
    }

    fn id(&self, index: usize) -> String {
        let id = self.servers[index].ask(&["CLUSTER", "MYID"]);
        id.text().to_owned()
    }
}

/// What a server knows of all.
fn lines(server: &Redis) -> std::vec::IntoIter<String> {
    let nodes = server.ask(&["CLUSTER", "NODES"]);
    let lines: Vec<_> = nodes.text().lines().map(str::to_owned).collect();
    lines.into_iter()
}
