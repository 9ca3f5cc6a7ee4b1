//! A real Redis as a process of the test's own: Debian's, with its data in a directory of the test's. It can come back with what it
//! had a while ago, too, and have a replica.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemon::{Daemon, Place, Program};
use crate::resp::{RedisClient, Value};
use crate::script::debian_tool;
use crate::tls::Identity;

/// How to start a Redis.
#[derive(Clone, Debug, Default)]
pub struct RedisLaunch {
    settings: Vec<String>,
    access: Access,
    primary: Option<SocketAddr>,
    ends_with_its_thread: bool,
}

impl RedisLaunch {
    /// With a line of redis.conf; the last one of a name counts. Without any, each write is on disk before it is answered.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// Nothing is written to disk but by [`Redis::snapshot`].
    #[must_use]
    pub fn forgetful(self) -> Self {
        self.setting("appendonly no")
    }

    /// Only this user may do anything; `default`, if only a password is asked for.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.access.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Speaking TLS, as this, and nothing else.
    #[must_use]
    pub fn tls(mut self, identity: &Identity) -> Self {
        self.access.identity = Some(identity.clone());
        self
    }

    /// As a replica of another one.
    #[must_use]
    pub fn replica_of(mut self, primary: &Redis) -> Self {
        self.primary = Some(primary.address());
        self
    }

    /// It is killed when the thread that starts it ends, also with the whole process.
    #[must_use]
    pub const fn ending_with_its_thread(mut self) -> Self {
        self.ends_with_its_thread = true;
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    ///
    /// When there is no redis-server, or it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Redis {
        Redis::run(self)
    }
}

/// A running Redis; dropping it ends its process. It comes back with what is on disk.
pub type Redis = Daemon<RedisLaunch>;

impl Redis {
    /// One that has each write on disk before it answers.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        RedisLaunch::default().start()
    }

    /// What `--log` takes.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same through something that listens elsewhere.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        let scheme = self.program.access.scheme();
        match &self.program.access.user {
            Some((name, password)) => format!("{scheme}://{name}:{password}@{address}"),
            None => format!("{scheme}://{address}"),
        }
    }

    /// A client of it, who may do what its user may.
    ///
    /// # Panics
    ///
    /// When it does not let it in.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> RedisClient {
        self.try_client().expect("a client of Redis")
    }

    /// Sends a command and returns the answer.
    ///
    /// # Panics
    ///
    /// When there is none, or it is an error.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Value {
        let answer = self.client().ask(words).expect("an answer of Redis");
        assert!(!matches!(answer, Value::Error(_)), "{words:?}: {answer:?}");
        answer
    }

    /// Keeps its data as they are now, for [`kill_and_restore`](Self::kill_and_restore).
    #[track_caller]
    pub fn snapshot(&mut self) {
        if self.is_append_only() {
            // While it is held still its files do not change.
            self.pause();
            copy(&self.place.data(), &self.kept());
            self.resume();
        } else {
            self.ask(&["SAVE"]);
            copy(&self.place.data(), &self.kept());
        }
    }

    /// Copies its data as they are now, for whoever looks for what went wrong.
    #[track_caller]
    pub fn copy_data_to(&self, directory: &Path) {
        copy(&self.place.data(), directory);
    }

    /// Kills it and puts its data back to what they were at the last snapshot.
    ///
    /// # Panics
    ///
    /// When there was none.
    #[track_caller]
    pub fn kill_and_restore(&mut self) {
        assert!(self.kept().is_dir(), "there is a snapshot");
        self.kill();
        copy(&self.kept(), &self.place.data());
    }

    /// Whether a replica has all that its primary has.
    #[must_use]
    #[track_caller]
    pub fn is_in_step_with(&self, primary: &Self) -> bool {
        let field = |redis: &Self, name: &str| {
            // Whoever it has just become the replica of, it ends its connections.
            let mut client = redis.try_client().ok()?;
            let info = client.ask(&["INFO", "replication"]).ok()?;
            info.text().lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                (found == name).then(|| value.to_owned())
            })
        };
        let offset = |redis: &Self, name: &str| field(redis, name)?.parse::<u64>().ok();
        // What comes in between it may have, too; but not before it has all that was there when it came.
        let there = offset(primary, "master_repl_offset");
        let is_linked = field(self, "master_link_status").is_some_and(|status| status == "up");
        is_linked && there.is_some() && there <= offset(self, "slave_repl_offset")
    }

    /// Makes a replica a primary.
    #[track_caller]
    pub fn promote(&self) {
        self.ask(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Makes it a replica of another one, from now on.
    #[track_caller]
    pub fn follow(&self, primary: &Self) {
        let (host, port) = (primary.address().ip(), primary.address().port());
        self.ask(&["REPLICAOF", &host.to_string(), &port.to_string()]);
    }

    /// Removes its directory, if nothing of what it does is to stay.
    #[track_caller]
    pub fn remove_directory(&self) {
        fs::remove_dir_all(self.place.directory()).expect("the test's own directory");
    }

    /// The same, if it lets it in.
    ///
    /// # Errors
    ///
    /// It does not, or is away.
    pub fn try_client(&self) -> std::io::Result<RedisClient> {
        self.program.access.client(self.address())
    }

    fn is_append_only(&self) -> bool {
        let mut settings = self.program.settings.iter().rev();
        let last = settings.find(|line| line.starts_with("appendonly "));
        last.is_none_or(|line| line == "appendonly yes")
    }

    fn kept(&self) -> PathBuf {
        self.place.directory().join("kept")
    }
}

impl Program for RedisLaunch {
    const NAME: &'static str = "redis-server";

    fn set_up(&self, place: &Place) {
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "daemonize no".to_owned(),
            "save \"\"".to_owned(),
            "appendonly yes".to_owned(),
            "appendfsync always".to_owned(),
            // What was cut off is mended before it starts.
            "aof-load-truncated no".to_owned(),
            // A replica has what its primary has at once.
            "repl-diskless-sync-delay 0".to_owned(),
            format!("logfile {}", place.log().display()),
            format!("dir {}", place.data().display()),
        ];
        lines.extend(self.access.ports(place.address));
        match &self.access.user {
            None => {}
            Some((name, password)) if name == "default" => {
                lines.push(format!("requirepass {password}"));
            }
            Some(user) => lines.extend(only(user)),
        }
        if let Some(primary) = self.primary {
            lines.push(format!("replicaof {} {}", primary.ip(), primary.port()));
        }
        lines.extend(self.settings.iter().cloned());
        place.write("redis.conf", &lines);
    }

    fn command(&self, place: &Place) -> Command {
        mend(&place.data());
        let mut command = if self.ends_with_its_thread {
            // setpriv becomes Redis by exec, so the pid is that of Redis.
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(program());
            command
        } else {
            let mut command = Command::new(program());
            command.arg0("redis-server");
            command
        };
        command.arg(place.directory().join("redis.conf"));
        command
    }

    fn answers(&self, place: &Place) -> bool {
        self.access.answers(place.address)
    }
}

/// Who may speak with a Redis or a Sentinel, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// The only one who may do anything.
    pub(crate) user: Option<(String, String)>,
    /// It speaks TLS, as this, and nothing else.
    pub(crate) identity: Option<Identity>,
}

impl Access {
    /// How addresses of it begin.
    pub(crate) const fn scheme(&self) -> &'static str {
        match self.identity {
            Some(_) => "rediss",
            None => "redis",
        }
    }

    /// The lines of settings that say where it listens.
    pub(crate) fn ports(&self, address: SocketAddr) -> Vec<String> {
        let port = address.port();
        let Some(identity) = &self.identity else {
            return vec![format!("port {port}")];
        };
        let certificate = identity.certificate().display().to_string();
        vec![
            format!("port 0\ntls-port {port}"),
            format!("tls-cert-file {certificate}"),
            format!("tls-key-file {}", identity.key().display()),
            format!("tls-ca-cert-file {certificate}"),
            "tls-auth-clients no".to_owned(),
        ]
    }

    /// A client, as its user.
    pub(crate) fn client(&self, address: SocketAddr) -> std::io::Result<RedisClient> {
        let mut client = RedisClient::connect(address, self.identity.as_ref())?;
        if let Some((name, password)) = &self.user {
            client.ask(&["AUTH", name, password])?;
        }
        Ok(client)
    }

    /// Whether it lets its user in, and answers.
    pub(crate) fn answers(&self, address: SocketAddr) -> bool {
        self.client(address)
            .and_then(|mut client| client.ask(&["PING"]))
            .is_ok_and(|answer| answer.text() == "PONG")
    }
}

/// The lines of settings that let in this user only.
pub(crate) fn only((name, password): &(String, String)) -> [String; 2] {
    let user = format!("user {name} on >{password} ~* &* +@all");
    ["user default off".to_owned(), user]
}

/// Cuts off a transaction of which only a part was written when Redis was killed, as its operators are to do (docs/CLUSTER.md).
/// Redis itself leaves the beginning of it there, which takes the next transaction's place when it is restarted once more
/// (redis and valkey up to August 2026).
#[track_caller]
fn mend(data: &Path) {
    let manifest = data.join("appendonlydir/appendonly.aof.manifest");
    if !manifest.is_file() {
        return;
    }
    // One program, which looks at what it is called.
    let mut command = Command::new(program());
    command.arg0("redis-check-aof").arg("--fix").arg(&manifest);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("redis-check-aof can be started");
    let mut input = child.stdin.take().expect("it has an input");
    // If there is nothing to mend it does not ask.
    let _ = input.write_all(b"y\n");
    drop(input);
    let output = child.wait_with_output().expect("what it says");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "redis-check-aof: {said}");
}

/// Debian's redis-server.
///
/// # Panics
///
/// When there is none.
#[must_use]
#[track_caller]
pub fn program() -> PathBuf {
    debian_tool("redis", "usr/bin/redis-server")
}

/// Makes `to` the same as `from`.
#[track_caller]
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("the test's own directory");
    for entry in fs::read_dir(from).expect("the data of Redis").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            // A temporary file may go while we look.
            let _ = fs::copy(path, target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::wait_until;

    fn count(redis: &Redis) -> String {
        redis.ask(&["GET", "count"]).text().to_owned()
    }

    #[test]
    fn it_comes_back_with_its_data_with_older_ones_or_with_none() {
        let mut redis = Redis::start();
        redis.ask(&["INCR", "count"]);
        redis.snapshot();
        redis.ask(&["INCR", "count"]);
        redis.restart();
        assert_eq!(count(&redis), "2", "each write was on disk");
        redis.kill_and_restore();
        redis.come_back();
        assert_eq!(count(&redis), "1", "as at the snapshot");
        redis.kill_and_empty();
        redis.come_back();
        assert_eq!(redis.ask(&["GET", "count"]), Value::Nil);
    }

    #[test]
    fn half_a_transaction_at_the_end_of_its_log_is_not_done_later() {
        let mut redis = Redis::start();
        redis.ask(&["SET", "count", "1"]);
        redis.kill();
        let log = redis
            .place
            .data()
            .join("appendonlydir/appendonly.aof.1.incr.aof");
        let mut log = fs::OpenOptions::new()
            .append(true)
            .open(log)
            .expect("its log");
        let half =
            "*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$5\r\ncount\r\n$1\r\n9\r\n*3\r\n$3\r\nSE";
        log.write_all(half.as_bytes())
            .expect("its log can be written");
        redis.come_back();
        assert_eq!(count(&redis), "1");
        redis.restart();
        assert_eq!(count(&redis), "1");
    }

    #[test]
    fn one_that_keeps_nothing_has_what_was_saved_by_hand() {
        let mut redis = RedisLaunch::default().forgetful().start();
        redis.ask(&["INCR", "count"]);
        redis.snapshot();
        redis.ask(&["INCR", "count"]);
        redis.restart();
        assert_eq!(count(&redis), "1");
    }

    #[test]
    fn it_asks_for_its_user_and_speaks_tls() {
        let identity = Identity::shared();
        let launch = RedisLaunch::default().user("ada", "secret").tls(&identity);
        let redis = launch.start();
        assert_eq!(redis.ask(&["PING"]).text(), "PONG");
        let url = format!("rediss://ada:secret@{}", redis.address());
        assert_eq!(redis.url(), url);
        let mut stranger =
            RedisClient::connect(redis.address(), Some(&identity)).expect("Redis answers");
        let refusal = stranger.ask(&["PING"]).expect("Redis answers");
        assert!(refusal.text().starts_with("NOAUTH"), "{refusal:?}");
    }

    #[test]
    fn a_replica_takes_the_place_of_its_primary() {
        let mut primary = Redis::start();
        let replica = RedisLaunch::default().replica_of(&primary).start();
        primary.ask(&["INCR", "count"]);
        wait_until("the replica has it", || replica.is_in_step_with(&primary));
        primary.kill();
        replica.promote();
        replica.ask(&["INCR", "count"]);
        assert_eq!(count(&replica), "2");
        primary.come_back();
        primary.follow(&replica);
        wait_until("it is a replica", || count(&primary) == "2");
    }

    #[test]
    fn who_is_held_still_answers_when_it_goes_on() {
        let mut redis = Redis::start();
        let mut client = redis.client();
        redis.pause();
        client
            .send(&crate::resp::encode(&["PING"]))
            .expect("Redis answers");
        redis.resume();
        assert_eq!(client.hear().expect("Redis answers").text(), "PONG");
    }
}
