//! Several servers: how they are found, and what becomes of them. A replica takes the place of one that is gone, or of one that is
//! there and does not know it yet; in a cluster buckets move from one to another.

use super::{Event, MS, World};
use crate::log::remote::Target;
use crate::log::shared::core::Core;
use crate::log::shared::simulation::redis::Redis;
use crate::log::shared::{Bucket, Command, Failure};

/// How nodes find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Topology {
    /// There is one, which comes back where it was.
    Single,
    /// There is one, and another later, elsewhere.
    Sentinel,
    /// There are three, each with some of the buckets.
    Cluster,
}

/// A server.
#[derive(Debug)]
pub(in super::super) struct Server {
    pub(in super::super) redis: Redis,
    pub(super) port: u16,
    pub(super) is_down: bool,
    pub(super) is_replica: bool,
    /// What its replica has, if that is behind.
    behind: Option<Redis>,
}

/// The port of the first.
const PORT: u16 = 6379;

impl Topology {
    /// How a node begins.
    pub(super) fn begin<C>(self, core: &mut Core<C>) {
        match self {
            Self::Single => core.use_single(target(PORT)),
            Self::Sentinel => core.use_guides(vec![target(1), target(2), target(3)]),
            Self::Cluster => core.use_parts(vec![target(1), target(2)]),
        }
    }

    /// The servers that there are at first.
    pub(super) fn servers(self, redis: &Redis) -> Vec<Server> {
        let count = match self {
            Self::Single | Self::Sentinel => 1,
            Self::Cluster => 3,
        };
        let server = |number: u16| {
            let mut redis = redis.clone();
            redis.run_id = u64::from(number) + 1;
            Server::new(redis, PORT + number)
        };
        (0..count).map(server).collect()
    }
}

impl Server {
    const fn new(redis: Redis, port: u16) -> Self {
        Self {
            redis,
            port,
            is_down: false,
            is_replica: false,
            behind: None,
        }
    }
}

pub(super) fn target(port: u16) -> Target {
    Target {
        host: "redis".to_owned(),
        port,
    }
}

impl World {
    /// The server at a port, if it is up.
    pub(super) fn server_at(&self, port: u16) -> Option<usize> {
        let is_there = |server: &Server| server.port == port && !server.is_down;
        self.servers.iter().position(is_there)
    }

    /// Those that have buckets.
    pub(in super::super) fn masters(&self) -> Vec<usize> {
        let has_some = |index: &usize| self.owners.contains(index);
        (0..self.servers.len()).filter(has_some).collect()
    }

    /// What a server's replica has is what there is now, until it takes its place.
    pub(in super::super) fn hold_back_replica(&mut self, server: usize) {
        self.servers[server].behind = Some(self.servers[server].redis.clone());
    }

    /// A server is gone; after a while its replica takes its place.
    pub(in super::super) fn lose(&mut self, server: usize, time: u64) {
        if self.servers[server].is_down {
            return;
        }
        self.stop_moving(server);
        self.servers[server].is_down = true;
        self.cut_server(server);
        self.after(time, Event::Promoted(server));
    }

    /// A server's replica takes its place, and the server knows that only later.
    pub(in super::super) fn replace(&mut self, server: usize, time: u64) {
        if !self.servers[server].is_down && self.owners.contains(&server) {
            self.stop_moving(server);
            self.takes_place(server);
            self.after(time, Event::Demoted(server));
        }
    }

    pub(super) fn takes_place(&mut self, server: usize) {
        let old = &mut self.servers[server];
        let data = old.behind.take();
        let mut data = data.unwrap_or_else(|| old.redis.clone());
        self.runs += 1;
        data.run_id = self.runs;
        data.saves_always = false;
        data.announced.clear();
        let port = PORT + self.servers.len() as u16;
        let new = self.servers.len();
        self.servers.push(Server::new(data, port));
        for owner in &mut self.owners {
            if *owner == server {
                *owner = new;
            }
        }
        self.spread();
    }

    pub(super) fn demoted(&mut self, server: usize) {
        self.servers[server].is_replica = true;
        self.cut_server(server);
    }

    fn cut_server(&mut self, server: usize) {
        for node in 0..self.nodes.len() {
            self.cut_those(node, |wire| wire.server == server);
        }
    }

    /// Whoever is asked hears of what has changed, after a while.
    fn spread(&mut self) {
        let delay = self.dice.below(800 * MS);
        self.after(delay, Event::Gossip);
    }

    pub(super) fn gossip(&mut self) {
        self.known = self.owners.clone();
        if self.topology == Topology::Sentinel {
            self.tell_switch();
        }
    }

    // ---- buckets that move ----

    /// A bucket begins to move to another server.
    pub(in super::super) fn begin_move(&mut self, bucket: Bucket, to: usize) {
        let from = self.owner(bucket);
        let is_well = !self.servers[from].is_down && !self.servers[to].is_down;
        if from == to || self.moving.contains_key(&bucket) || !is_well {
            return;
        }
        self.moving.insert(bucket, (to, false));
        let delay = self.dice.below(500 * MS);
        self.after(delay, Event::Given(bucket));
    }

    pub(super) fn given(&mut self, bucket: Bucket) {
        let from = self.owner(bucket);
        let Some((to, is_there)) = self.moving.get_mut(&bucket) else {
            return;
        };
        *is_there = true;
        let [from, to] = self
            .servers
            .get_disjoint_mut([from, *to])
            .expect("they are two");
        from.redis.give(bucket, &mut to.redis);
        let delay = self.dice.below(500 * MS);
        self.after(delay, Event::Moved(bucket));
    }

    pub(super) fn moved(&mut self, bucket: Bucket) {
        if let Some((to, true)) = self.moving.remove(&bucket) {
            self.owners[usize::from(bucket.number())] = to;
            self.spread();
        }
    }

    /// What is on its way from or to a server is there, or stays.
    fn stop_moving(&mut self, server: usize) {
        let moving: Vec<_> = self.moving.iter().map(|(it, to)| (*it, *to)).collect();
        for (bucket, (to, is_there)) in moving {
            if to != server && self.owner(bucket) != server {
                continue;
            }
            if is_there {
                self.moved(bucket);
            } else {
                self.moving.remove(&bucket);
            }
        }
    }

    fn owner(&self, bucket: Bucket) -> usize {
        self.owners[usize::from(bucket.number())]
    }

    /// What a server of a cluster says that has not what a command is about.
    pub(super) fn elsewhere(
        &mut self,
        server: usize,
        command: &Command,
        is_asking: bool,
    ) -> Option<Failure> {
        if self.topology != Topology::Cluster {
            return None;
        }
        let (bucket, is_about_one_key) = bucket_of(command);
        let owner = self.owner(bucket);
        let again = || Failure::Unable("TRYAGAIN Multiple keys request".to_owned());
        let asked = |to: usize| Failure::Asked(target(self.servers[to].port));
        let failure = match self.moving.get(&bucket).copied() {
            Some((to, true)) if server == owner => Some(asked(to)),
            Some((_, false)) if server == owner => (!is_about_one_key).then(again),
            Some((to, true)) if server == to && is_asking => {
                let is_whole = is_about_one_key || self.dice.percent(50);
                (!is_whole).then(again)
            }
            _ if server == owner => None,
            _ => Some(Failure::Moved(target(self.servers[owner].port))),
        };
        match failure {
            Some(Failure::Moved(_)) => self.redirected[0] += 1,
            Some(Failure::Asked(_)) => self.redirected[1] += 1,
            Some(_) => self.redirected[2] += 1,
            None => {}
        }
        failure
    }
}

/// The bucket that a command is about, and whether it needs one key of it only.
fn bucket_of(command: &Command) -> (Bucket, bool) {
    match command {
        Command::Greet { bucket, .. } | Command::Open { bucket, .. } => (*bucket, true),
        Command::Heads { bucket, .. } => (*bucket, true),
        Command::Vouch { bucket, .. }
        | Command::Append { bucket, .. }
        | Command::Mark { bucket, .. } => (*bucket, false),
        Command::Page { log, .. } => (Bucket::of(log), false),
        Command::Beat { .. } => (Bucket::all().next().expect("the first"), true),
    }
}
