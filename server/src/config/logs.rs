//! Where logs are kept that several nodes share: the flags, and the URL that names a Redis. What is said there may have a password
//! in it, so a text that is wrong is told of without what stands before its host.

use std::fmt;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use percent_encoding::percent_decode_str;

use super::values::time;
use super::veil::HIDDEN;
use crate::ids::NodeName;
use crate::log::nats::{NatsLogin, NatsOptions};
use crate::log::redis::{RedisOptions, Topology};
use crate::log::remote::Target;
use crate::log::shared::{Ack, Secret};
use crate::logging::check_level;

/// The port of a Redis.
const REDIS_PORT: u16 = 6379;

/// The port of a Sentinel.
const SENTINEL_PORT: u16 = 26379;

/// The port of a NATS.
const NATS_PORT: u16 = 4222;

/// What the URL of one begins with.
const NATS: &str = "nats://";
const NATS_TLS: &str = "tls://";

/// What a URL is to begin with.
const SCHEMES: &str = "write redis://HOST, rediss://HOST, redis+sentinel://HOST,HOST/NAME, redis+cluster://HOST,HOST or nats://HOST";

/// What is told who says in its place what is to be logged.
const LEVEL: &str = "write redis://HOST; what is logged is --log-level (TIDEWIRE_LOG_LEVEL)";

/// Flags about logs that are shared.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Many nodes")]
pub struct LogOptions {
    /// Keep messages in this Redis, which several servers may share: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`, rediss:// with TLS,
    /// redis+sentinel://HOST,HOST/NAME, redis+cluster://HOST,HOST; or in this NATS, with JetStream:
    /// `nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST…]`. Files stay where --data says
    #[arg(long, env = "TIDEWIRE_LOG", value_name = "URL", hide_env_values = true)]
    pub log: Option<LogUrl>,
    /// What this server is called among those that share a log; no other has the same name [default: the host's and a random number]
    #[arg(long, env = "TIDEWIRE_NODE", value_name = "NAME", value_parser = NodeName::new)]
    pub node: Option<NodeName>,
    /// Who we are at the Sentinels, USER:PASSWORD or :PASSWORD, where they ask for that
    #[arg(
        long,
        env = "TIDEWIRE_SENTINEL_LOGIN",
        value_name = "LOGIN",
        hide_env_values = true
    )]
    pub sentinel_login: Option<SentinelLogin>,
    /// What an ack means: `primary` has the message, `replicas=N` have it, too, or `aof[=N]`: it is on the primary's disk, and on those of N replicas
    #[arg(long, env = "TIDEWIRE_REDIS_ACK", value_name = "WHAT", default_value = "primary", value_parser = ack)]
    pub redis_ack: Ack,
    /// Time in which it has to take a message; then its sender hears `unavailable`
    #[arg(long, env = "TIDEWIRE_LOG_TIMEOUT", value_name = "TIME", default_value = "2s", value_parser = time)]
    pub log_timeout: Duration,
    /// Time without an answer after which a connection to it is given up
    #[arg(long, env = "TIDEWIRE_LOG_COMMAND_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = time)]
    pub log_command_timeout: Duration,
    /// What all names in it begin with: keys and channels of Redis, streams and subjects of NATS
    #[arg(long, env = "TIDEWIRE_LOG_PREFIX", value_name = "TEXT", default_value = RedisOptions::PREFIX, value_parser = prefix)]
    pub log_prefix: String,
    /// With rediss://: trust the certificates in this PEM file, and no others [default: those that the system trusts]
    #[arg(long, env = "TIDEWIRE_LOG_CA", value_name = "FILE")]
    pub log_ca: Option<PathBuf>,
    /// With nats://: servers of a cluster that have each message before it is acknowledged
    #[arg(long, env = "TIDEWIRE_NATS_REPLICAS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub nats_replicas: u8,
    /// With nats://: a server that was restarted has all that it has acknowledged, as with `sync_interval: always`. Without, rooms begin a new epoch after each restart
    #[arg(long, env = "TIDEWIRE_NATS_TRUST_RESTARTS")]
    pub nats_trust_restarts: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            log: None,
            node: None,
            sentinel_login: None,
            redis_ack: Ack::default(),
            log_timeout: RedisOptions::TIMEOUT,
            log_command_timeout: RedisOptions::COMMAND_TIMEOUT,
            log_prefix: RedisOptions::PREFIX.to_owned(),
            log_ca: None,
            nats_replicas: 1,
            nats_trust_restarts: false,
        }
    }
}

impl LogOptions {
    /// With a name for this node, if it needs one and nobody has said it.
    #[must_use]
    pub(crate) fn with_name(mut self) -> Self {
        if self.log.is_some() && self.node.is_none() {
            self.node = Some(name_of_host(rand::random()));
        }
        self
    }

    /// What is said of Redis; `None` where it does not keep the logs.
    ///
    /// # Errors
    /// The URL makes no sense: a sentence, which does not have the password.
    pub(crate) fn redis(&self) -> Result<Option<RedisOptions>, String> {
        let Some(url) = self.log.as_ref().filter(|url| !url.is_nats()) else {
            return Ok(None);
        };
        let place = url.parse().map_err(|why| format!("--log: {why}"))?;
        if self.log_ca.is_some() && !place.tls {
            return Err(
                "--log-ca is for TLS: write rediss:// in --log, or leave it out".to_owned(),
            );
        }
        let is_sentinel = matches!(place.topology, Topology::Sentinel { .. });
        if self.sentinel_login.is_some() && !is_sentinel {
            return Err(
                "--sentinel-login is for Sentinels: write redis+sentinel:// in --log, or leave it out"
                    .to_owned(),
            );
        }
        let login = self.sentinel_login.as_ref().map(SentinelLogin::parse);
        let login = login
            .transpose()
            .map_err(|why| format!("--sentinel-login: {why}"))?;
        let (sentinel_user, sentinel_password) = login.unwrap_or((None, None));
        let node = self.node.as_ref().map_or("", NodeName::as_str).to_owned();
        Ok(Some(RedisOptions {
            tls: place.tls,
            user: place.user,
            password: place.password.map(Secret::new),
            sentinel_user,
            sentinel_password: sentinel_password.map(Secret::new),
            prefix: self.log_prefix.clone(),
            ack: self.redis_ack,
            timeout: self.log_timeout,
            command_timeout: self.log_command_timeout,
            ..RedisOptions::new(place.topology, node)
        }))
    }

    /// Whether what is said makes sense.
    ///
    /// # Errors
    /// As [`redis`](Self::redis).
    pub(crate) fn check(&self) -> Result<(), String> {
        self.redis().map(drop)?;
        self.nats().map(drop)
    }

    /// What is said of NATS; `None` where it does not keep the logs.
    ///
    /// # Errors
    /// As [`redis`](Self::redis).
    pub(crate) fn nats(&self) -> Result<Option<NatsOptions>, String> {
        let Some(url) = self.log.as_ref().filter(|url| url.is_nats()) else {
            return Ok(None);
        };
        if self.redis_ack != Ack::Primary {
            return Err(
                "--redis-ack is for Redis: how many servers of NATS have a message is --nats-replicas"
                    .to_owned(),
            );
        }
        let (servers, login) = url.parse_nats().map_err(|why| format!("--log: {why}"))?;
        Ok(Some(NatsOptions {
            servers,
            login,
            prefix: self.log_prefix.clone(),
            node: self.node.as_ref().map_or("", NodeName::as_str).to_owned(),
            replicas: self.nats_replicas,
            trusts_restarts: self.nats_trust_restarts,
            timeout: self.log_timeout,
            command_timeout: self.log_command_timeout,
        }))
    }
}

/// The URL of a Redis as it was written. It may have a password in it, which nothing shows.
#[derive(Clone, PartialEq, Eq)]
pub struct LogUrl(String);

impl From<String> for LogUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for LogUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Without the password.
impl fmt::Display for LogUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(veiled(&self.0).as_deref().unwrap_or(&self.0))
    }
}

/// Who we are at the Sentinels, as it was written. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct SentinelLogin(String);

impl From<String> for SentinelLogin {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for SentinelLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl SentinelLogin {
    /// User and password; no percent signs stand for anything, since this is no URL.
    fn parse(&self) -> Result<(Option<String>, Option<String>), String> {
        let told = "write USER:PASSWORD, or :PASSWORD";
        let (user, password) = self.0.split_once(':').ok_or(told)?;
        if password.is_empty() {
            return Err(told.to_owned());
        }
        let user = (!user.is_empty()).then(|| user.to_owned());
        Ok((user, Some(password.to_owned())))
    }
}

/// A URL without the password in it; `None` if it has none. Of what makes no sense anything may be one.
pub(super) fn veiled(url: &str) -> Option<String> {
    let Some((before, hosts)) = url.rsplit_once('@') else {
        let url = LogUrl(url.to_owned());
        let is_sensible = url.parse().is_ok() || url.parse_nats().is_ok();
        return (!is_sensible).then(|| HIDDEN.to_owned());
    };
    let (scheme, who) = before.split_once("://").unwrap_or(("", before));
    let slashes = if scheme.is_empty() { "" } else { "://" };
    // What has no colon was perhaps meant for a password.
    let user = who
        .split_once(':')
        .map_or_else(String::new, |(user, _)| format!("{user}:"));
    Some(format!("{scheme}{slashes}{user}{HIDDEN}@{hosts}"))
}

/// What a URL says.
#[derive(Debug)]
struct Place {
    tls: bool,
    user: Option<String>,
    password: Option<String>,
    topology: Topology,
}

/// What a scheme says of who answers there.
#[derive(Clone, Copy)]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

impl LogUrl {
    fn is_nats(&self) -> bool {
        self.0.starts_with(NATS) || self.0.starts_with(NATS_TLS)
    }

    /// The servers of a NATS, and who we are there.
    fn parse_nats(&self) -> Result<(Vec<Target>, Option<NatsLogin>), String> {
        let rest = self.0.strip_prefix(NATS).ok_or_else(|| {
            "NATS with TLS is not served yet: write nats:// and a server that is reached in private"
                .to_owned()
        })?;
        let (who, hosts) = match rest.rsplit_once('@') {
            Some((who, hosts)) => (Some(who), hosts),
            None => (None, rest),
        };
        if hosts.contains(['/', '?', '#']) {
            return Err("leave out what stands behind the host and the port".to_owned());
        }
        let login = who.map(nats_login).transpose()?;
        let servers = hosts.split(',').map(|host| target(host, NATS_PORT));
        Ok((servers.collect::<Result<_, _>>()?, login))
    }

    fn parse(&self) -> Result<Place, String> {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            let is_level = check_level(&self.0).is_ok();
            let why = if is_level { LEVEL } else { SCHEMES };
            return Err(why.to_owned());
        };
        let (tls, kind) = match scheme {
            "redis" => (false, Kind::Single),
            "rediss" => (true, Kind::Single),
            "redis+sentinel" => (false, Kind::Sentinel),
            "rediss+sentinel" => (true, Kind::Sentinel),
            "redis+cluster" => (false, Kind::Cluster),
            "rediss+cluster" => (true, Kind::Cluster),
            // Perhaps a part of a password.
            _ => return Err(SCHEMES.to_owned()),
        };
        let (who, place) = match rest.rsplit_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, rest),
        };
        let (user, password) = who.map_or(Ok((None, None)), credentials)?;
        if place.contains(['?', '#']) {
            return Err("leave out what begins with ? or #: there are flags for it".to_owned());
        }
        let (hosts, path) = match place.split_once('/') {
            Some((hosts, path)) => (hosts, path),
            None => (place, ""),
        };
        Ok(Place {
            tls,
            user,
            password,
            topology: topology(kind, hosts, path)?,
        })
    }
}

/// User and password, as they stand before the @.
fn credentials(who: &str) -> Result<(Option<String>, Option<String>), String> {
    let Some((user, password)) = who.split_once(':') else {
        return Err("write USER:PASSWORD@ before the host, or :PASSWORD@".to_owned());
    };
    let decoded = |text, what| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map_err(|_| format!("the {what} is no UTF-8 where % stands for its bytes"))
    };
    let user = decoded(user, "user")?.into_owned();
    let password = decoded(password, "password")?.into_owned();
    if password.is_empty() {
        return Err("the password is empty: leave out what stands before the @".to_owned());
    }
    Ok(((!user.is_empty()).then_some(user), Some(password)))
}

/// Who we are at a NATS: what has no colon is a token.
fn nats_login(who: &str) -> Result<NatsLogin, String> {
    if who.contains(':') {
        return match credentials(who)? {
            (Some(user), Some(password)) => Ok(NatsLogin::User(user, Secret::new(password))),
            _ => Err("write USER:PASSWORD@ or TOKEN@ before the host".to_owned()),
        };
    }
    let token = percent_decode_str(who).decode_utf8();
    let token = token.map_err(|_| "the token is no UTF-8 where % stands for its bytes")?;
    if token.is_empty() {
        return Err("the token is empty: leave out the @".to_owned());
    }
    Ok(NatsLogin::Token(Secret::new(token.into_owned())))
}

fn topology(kind: Kind, hosts: &str, path: &str) -> Result<Topology, String> {
    let targets =
        |port| -> Result<Vec<_>, _> { hosts.split(',').map(|host| target(host, port)).collect() };
    match kind {
        Kind::Single if hosts.contains(',') => Err(
            "redis:// names one host: write redis+sentinel:// or redis+cluster:// for several"
                .to_owned(),
        ),
        Kind::Single => Ok(Topology::Single {
            target: target(hosts, REDIS_PORT)?,
            database: database(path)?,
        }),
        Kind::Sentinel if path.is_empty() || path.contains('/') => Err(
            "say what the Sentinels call the primary: redis+sentinel://HOST,HOST/NAME".to_owned(),
        ),
        Kind::Sentinel => Ok(Topology::Sentinel {
            sentinels: targets(SENTINEL_PORT)?,
            name: path.to_owned(),
        }),
        Kind::Cluster if !path.is_empty() => {
            Err("a cluster has no database: leave out what stands behind the hosts".to_owned())
        }
        Kind::Cluster => Ok(Topology::Cluster {
            seeds: targets(REDIS_PORT)?,
        }),
    }
}

fn database(path: &str) -> Result<u32, String> {
    if path.is_empty() {
        return Ok(0);
    }
    path.parse().map_err(|_| {
        "what stands behind the host is no database: it is a number, as in redis://HOST/0"
            .to_owned()
    })
}

/// A host, and perhaps a port; the colons of `[::1]` separate none.
fn target(text: &str, port: u16) -> Result<Target, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let number = port.parse().ok().filter(|port| *port != 0);
            (
                host,
                number
                    .ok_or_else(|| "what stands behind the host's colon is no port".to_owned())?,
            )
        }
        Some(_) | None => (text, port),
    };
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if host.is_empty() {
        return Err("a host is missing: write redis://HOST:PORT".to_owned());
    }
    let host = host.to_owned();
    Ok(Target { host, port })
}

/// The host's name and a number, so that two servers of one host are told apart.
fn name_of_host(number: u32) -> NodeName {
    let host = nix::unistd::gethostname().unwrap_or_default();
    NodeName::numbered(&host.to_string_lossy(), number)
}

fn ack(text: &str) -> Result<Ack, String> {
    let (kind, number) = match text.split_once('=') {
        Some((kind, number)) => (kind, Some(number)),
        None => (text, None),
    };
    let number = number.map(str::parse::<u8>).transpose();
    match (kind, number) {
        ("primary", Ok(None)) => Some(Ack::Primary),
        ("replicas", Ok(Some(count))) => NonZeroU8::new(count).map(Ack::Replicas),
        ("aof", Ok(replicas)) => Some(Ack::Aof {
            replicas: replicas.unwrap_or(0),
        }),
        _ => None,
    }
    .ok_or_else(|| "write primary, replicas=N, aof or aof=N".to_owned())
}

/// Braces would say where keys are in a cluster.
fn prefix(text: &str) -> Result<String, String> {
    if text.contains(['{', '}']) || text.chars().any(char::is_control) || text.len() > 64 {
        return Err("a prefix has up to 64 bytes, and no braces".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<Place, String> {
        LogUrl(url.to_owned()).parse()
    }

    fn at(host: &str, port: u16) -> Target {
        let host = host.to_owned();
        Target { host, port }
    }

    #[test]
    fn a_url_says_where_redis_is_and_who_we_are_there() {
        let single = |host, port, database| Topology::Single {
            target: at(host, port),
            database,
        };
        for (url, tls, topology) in [
            ("redis://a", false, single("a", 6379, 0)),
            ("rediss://a:1/", true, single("a", 1, 0)),
            ("redis://[::1]:2/3", false, single("::1", 2, 3)),
            ("redis://[::1]", false, single("::1", 6379, 0)),
            (
                "redis+sentinel://a,b:1/main",
                false,
                Topology::Sentinel {
                    sentinels: vec![at("a", 26379), at("b", 1)],
                    name: "main".to_owned(),
                },
            ),
            (
                "rediss+cluster://a,b:1",
                true,
                Topology::Cluster {
                    seeds: vec![at("a", 6379), at("b", 1)],
                },
            ),
        ] {
            let place = place(url).unwrap();
            assert_eq!((place.tls, place.topology), (tls, topology), "{url}");
            assert_eq!((place.user, place.password), (None, None), "{url}");
        }
        for (url, user, password) in [
            ("redis://:b@a", None, "b"),
            ("redis://u%40:p%2F%3a@a", Some("u@"), "p/:"),
            ("redis://u:p@/?#w@a", Some("u"), "p@/?#w"),
        ] {
            let place = place(url).unwrap();
            let who = (place.user.as_deref(), place.password.as_deref());
            assert_eq!(who, (user, Some(password)), "{url}");
            assert_eq!(place.topology, single("a", 6379, 0), "{url}");
        }
    }

    #[test]
    fn a_url_of_nats_says_where_its_servers_are_and_who_we_are_there() {
        let servers = |url: &str| LogUrl(url.to_owned()).parse_nats();
        let user =
            |user: &str, word: &str| NatsLogin::User(user.to_owned(), Secret::new(word.to_owned()));
        let token = |word: &str| NatsLogin::Token(Secret::new(word.to_owned()));
        for (url, there, login) in [
            ("nats://a", vec![at("a", 4222)], None),
            ("nats://a:1,[::1]", vec![at("a", 1), at("::1", 4222)], None),
            (
                "nats://u:p%40@a",
                vec![at("a", 4222)],
                Some(user("u", "p@")),
            ),
            (
                "nats://s%2fcret@a",
                vec![at("a", 4222)],
                Some(token("s/cret")),
            ),
        ] {
            assert_eq!(servers(url).unwrap(), (there, login), "{url}");
            let shown = LogUrl(url.to_owned()).to_string();
            assert!(!shown.contains("cret") && !shown.contains("p%"), "{shown}");
        }
        for (url, told) in [
            ("tls://a", "TLS is not served yet"),
            ("nats://@a", "the token is empty"),
            ("nats://:secret@a", "USER:PASSWORD@ or TOKEN@"),
            ("nats://u:secret%ff@a", "no UTF-8"),
            ("nats://secret%ff@a", "no UTF-8"),
            ("nats://a/secret", "leave out"),
            ("nats://a:0", "no port"),
            ("nats://", "host is missing"),
        ] {
            let why = servers(url).unwrap_err();
            assert!(
                why.contains(told) && !why.contains("secret"),
                "{url}: {why}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        for (url, told) in [
            ("secret", "write redis://"),
            ("u:secret@a", "write redis://"),
            ("http://u:secret@a", "write redis://"),
            ("redis://secret@a", "USER:PASSWORD@"),
            ("redis://u:@a", "empty"),
            ("redis://u:secret%ff@a", "password is no UTF-8"),
            ("redis://u:secret@", "host is missing"),
            ("redis://u:secret@a:b", "is no port"),
            ("redis://u:secret@a:0", "is no port"),
            ("redis://u:secret", "is no port"),
            ("redis://a/secret", "is no database"),
            ("redis+cluster://a/secret", "has no database"),
            ("secret://a", "write redis://"),
            ("debug,secret=info", "--log-level"),
            ("redis://u:secret@a/b", "is no database"),
            ("redis://u:secret@a?db=1", "leave out"),
            ("redis://u:secret@a,b", "one host"),
            ("redis+sentinel://u:secret@a,b", "call the primary"),
            ("redis+cluster://u:secret@a,b/1", "no database"),
            ("redis+cluster://u:secret@a,", "host is missing"),
        ] {
            let why = place(url).unwrap_err();
            assert!(why.contains(told), "{url}: {why}");
            assert!(!why.contains("secret"), "{url}: {why}");
        }
    }

    #[test]
    fn what_is_not_served_yet_is_told() {
        for (url, told) in [
            ("redis://a", None),
            ("redis+sentinel://a,b/main", None),
            ("rediss+cluster://a,b", None),
            ("nats://a", None),
            ("tls://a", Some("TLS is not served yet")),
        ] {
            let options = LogOptions {
                log: Some(LogUrl(url.to_owned())),
                ..LogOptions::default()
            };
            let why = options.check().err();
            let is_told = why.as_ref().zip(told).map(|(why, told)| why.contains(told));
            assert_eq!(is_told, told.map(|_| true), "{url}: {why:?}");
        }
    }

    #[test]
    fn who_we_are_at_the_sentinels_is_said_where_there_are_some() {
        let options = |url: &str, login: &str| {
            let options = LogOptions {
                log: Some(LogUrl(url.to_owned())),
                sentinel_login: Some(SentinelLogin(login.to_owned())),
                ..LogOptions::default()
            };
            options.redis()
        };
        for (login, user, password) in [("u:p%:@", Some("u"), "p%:@"), (":p", None, "p")] {
            let options = options("redis+sentinel://a:b@c/main", login)
                .unwrap()
                .unwrap();
            assert_eq!(options.sentinel_user.as_deref(), user);
            assert_eq!(options.sentinel_password.unwrap().reveal(), password);
            assert_eq!(options.user.as_deref(), Some("a"));
        }
        for (url, login, told) in [
            ("redis+sentinel://a/main", "secret", "USER:PASSWORD"),
            ("redis+sentinel://a/main", "u:", "USER:PASSWORD"),
            ("redis://a", "u:secret", "is for Sentinels"),
        ] {
            let why = options(url, login).unwrap_err();
            assert!(why.contains(told) && !why.contains("secret"), "{why}");
        }
        let login = SentinelLogin("u:secret".to_owned());
        assert_eq!(format!("{login:?}"), "***");
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("redis://u:secret@a/1", "redis://u:***@a/1"),
            ("redis://:se@cr/et@a", "redis://:***@a"),
            ("redis://secret@a", "redis://***@a"),
            ("u:secret@a", "u:***@a"),
            ("redis+sentinel://a,b/c", "redis+sentinel://a,b/c"),
            ("redis://u:secret", "***"),
            ("secret", "***"),
        ] {
            let url = LogUrl(url.to_owned());
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn an_ack_is_what_is_written() {
        let replicas = |count| NonZeroU8::new(count).map(Ack::Replicas);
        for (text, expected) in [
            ("primary", Some(Ack::Primary)),
            ("replicas=2", replicas(2)),
            ("aof", Some(Ack::Aof { replicas: 0 })),
            ("aof=1", Some(Ack::Aof { replicas: 1 })),
            ("replicas=0", None),
            ("replicas", None),
            ("primary=1", None),
            ("aof=x", None),
            ("", None),
        ] {
            assert_eq!(ack(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_node_has_a_name_of_its_own() {
        let named = |log: Option<&str>, node: Option<&str>| {
            let options = LogOptions {
                log: log.map(|log| LogUrl(log.to_owned())),
                node: node.map(|node| NodeName::new(node).unwrap()),
                ..LogOptions::default()
            };
            let node = options.with_name().node;
            node.map(|node| node.as_str().to_owned())
        };
        assert_eq!(named(None, None), None, "nobody would see it");
        let some = named(Some("redis://a"), None).unwrap();
        assert_ne!(named(Some("redis://a"), None), Some(some.clone()));
        assert!(NodeName::new(&some).is_ok(), "{some}");
        let given = Some("a".to_owned());
        assert_eq!(named(Some("redis://a"), Some("a")), given);
    }
}
