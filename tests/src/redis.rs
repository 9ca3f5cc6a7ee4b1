//! A real Redis as a process of the test's own: Debian's, on a free port, with its data in a directory of the test's. It can be
//! killed and come back with its data, without it or with what it had a while ago; held still; and have a replica.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::directory::Directory;
use crate::resp::{RedisClient, Value};
use crate::script::tool;
use crate::server::{signal, target_directory};
use crate::tls::Identity;
use crate::wait::wait_until;

/// How to start a Redis.
#[derive(Clone, Debug, Default)]
pub struct RedisLaunch {
    settings: Vec<String>,
    user: Option<(String, String)>,
    identity: Option<Identity>,
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
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Speaking TLS, as this, and nothing else.
    #[must_use]
    pub fn tls(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// As a replica of another one.
    #[must_use]
    pub fn replica_of(mut self, primary: &Redis) -> Self {
        self.primary = Some(primary.address);
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
        let directory = Directory::new();
        let address = free_address();
        write_settings(&self, address, directory.path());
        let mut redis = Redis {
            child: None,
            address,
            launch: self,
            directory,
        };
        redis.come_back();
        redis
    }
}

/// A running Redis; dropping it ends its process.
#[derive(Debug)]
pub struct Redis {
    child: Option<Child>,
    address: SocketAddr,
    launch: RedisLaunch,
    directory: Directory,
}

impl Redis {
    /// One that has each write on disk before it answers.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        RedisLaunch::default().start()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// When it was killed.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// What `--log` takes.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// The same through something that listens elsewhere.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        let scheme = match self.launch.identity {
            Some(_) => "rediss",
            None => "redis",
        };
        match &self.launch.user {
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

    /// SIGKILL: what is not on disk is gone.
    #[track_caller]
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("we may end our own child");
            child.wait().expect("the state of our own child");
        }
    }

    /// Starts it again with what is on disk, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[track_caller]
    pub fn come_back(&mut self) {
        self.start_process();
        wait_until("Redis answers", || {
            let child = self.child.as_mut().expect("it was started above");
            let ended = child.try_wait().expect("the state of our own child");
            assert!(
                ended.is_none(),
                "redis-server has ended ({ended:?}):\n{}",
                fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
            );
            self.try_client()
                .and_then(|mut client| client.ask(&["PING"]))
                .is_ok_and(|answer| answer.text() == "PONG")
        });
    }

    /// Starts it again with what is on disk, and does not wait.
    ///
    /// # Panics
    ///
    /// When there is no redis-server.
    #[track_caller]
    pub fn start_process(&mut self) {
        self.kill();
        mend(&self.data());
        self.child = Some(spawn(&self.launch, self.directory.path()));
    }

    /// Kills it and starts it with what is on disk.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        self.come_back();
    }

    /// Kills it and forgets its data; it is for the caller to start it again.
    #[track_caller]
    pub fn kill_and_empty(&mut self) {
        self.kill();
        empty(&self.data());
    }

    /// Keeps its data as they are now, for [`kill_and_restore`](Self::kill_and_restore).
    #[track_caller]
    pub fn snapshot(&mut self) {
        if self.is_append_only() {
            // While it is held still its files do not change.
            self.pause();
            copy(&self.data(), &self.kept());
            self.resume();
        } else {
            self.ask(&["SAVE"]);
            copy(&self.data(), &self.kept());
        }
    }

    /// Copies its data as they are now, for whoever looks for what went wrong.
    #[track_caller]
    pub fn copy_data_to(&self, directory: &Path) {
        copy(&self.data(), directory);
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
        copy(&self.kept(), &self.data());
    }

    /// Holds its process still: nobody is told, and nothing is lost.
    #[track_caller]
    pub fn pause(&mut self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on.
    #[track_caller]
    pub fn resume(&mut self) {
        signal(self.pid(), "CONT");
    }

    /// Whether a replica has all that its primary has.
    #[must_use]
    #[track_caller]
    pub fn is_in_step_with(&self, primary: &Self) -> bool {
        let offset = |redis: &Self, name: &str| {
            // Whoever it has just become the replica of, it ends its connections.
            let mut client = redis.try_client().ok()?;
            let info = client.ask(&["INFO", "replication"]).ok()?;
            let line = info.text().lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                (found == name).then(|| value.to_owned())
            });
            line.and_then(|value| value.parse::<u64>().ok())
        };
        let there = offset(primary, "master_repl_offset");
        there.is_some() && there == offset(self, "slave_repl_offset")
    }

    /// Makes a replica a primary.
    #[track_caller]
    pub fn promote(&self) {
        self.ask(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Makes it a replica of another one, from now on.
    #[track_caller]
    pub fn follow(&self, primary: &Self) {
        let (host, port) = (primary.address.ip(), primary.address.port());
        self.ask(&["REPLICAOF", &host.to_string(), &port.to_string()]);
    }

    /// Removes its directory, if nothing of what it does is to stay.
    #[track_caller]
    pub fn remove_directory(&self) {
        fs::remove_dir_all(self.directory.path()).expect("the test's own directory");
    }

    /// The same, if it lets it in.
    ///
    /// # Errors
    ///
    /// It does not, or is away.
    pub fn try_client(&self) -> std::io::Result<RedisClient> {
        let mut client = RedisClient::connect(self.address, self.launch.identity.as_ref())?;
        if let Some((name, password)) = &self.launch.user {
            client.ask(&["AUTH", name, password])?;
        }
        Ok(client)
    }

    fn is_append_only(&self) -> bool {
        let mut settings = self.launch.settings.iter().rev();
        let last = settings.find(|line| line.starts_with("appendonly "));
        last.is_none_or(|line| line == "appendonly yes")
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn kept(&self) -> PathBuf {
        self.directory.path().join("kept")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail when it has ended by itself, which is as well; who is held still can be killed, too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn write_settings(launch: &RedisLaunch, address: SocketAddr, directory: &Path) {
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
        format!("logfile {}", directory.join("log").display()),
        format!("dir {}", directory.join("data").display()),
    ];
    match &launch.identity {
        None => lines.push(format!("port {}", address.port())),
        Some(identity) => {
            let certificate = identity.certificate().display().to_string();
            lines.push(format!("port 0\ntls-port {}", address.port()));
            lines.push(format!("tls-cert-file {certificate}"));
            lines.push(format!("tls-key-file {}", identity.key().display()));
            lines.push(format!("tls-ca-cert-file {certificate}"));
            lines.push("tls-auth-clients no".to_owned());
        }
    }
    match &launch.user {
        None => {}
        Some((name, password)) if name == "default" => {
            lines.push(format!("requirepass {password}"));
        }
        Some((name, password)) => {
            lines.push("user default off".to_owned());
            lines.push(format!("user {name} on >{password} ~* &* +@all"));
        }
    }
    if let Some(primary) = launch.primary {
        lines.push(format!("replicaof {} {}", primary.ip(), primary.port()));
    }
    lines.extend(launch.settings.iter().cloned());
    fs::create_dir_all(directory.join("data")).expect("the test's own directory can be written");
    fs::write(directory.join("redis.conf"), lines.join("\n") + "\n")
        .expect("the test's own directory can be written");
}

#[track_caller]
fn spawn(launch: &RedisLaunch, directory: &Path) -> Child {
    let mut command = if launch.ends_with_its_thread {
        // setpriv becomes Redis by exec, so the pid is that of Redis.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program());
        command
    } else {
        let mut command = Command::new(program());
        command.arg0("redis-server");
        command
    };
    command
        .arg(directory.join("redis.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("redis-server can be started")
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
    // `cargo xtask setup` unpacks Debian's package there.
    let unpacked = target_directory().join("debian/usr/bin/redis-server");
    if unpacked.is_file() {
        unpacked
    } else {
        tool("redis", &["redis-server"], "run `cargo xtask setup`")
    }
}

/// One that was free a moment ago: Redis cannot be given port 0.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

#[track_caller]
pub(crate) fn empty(directory: &Path) {
    fs::remove_dir_all(directory).expect("the test's own directory");
    fs::create_dir_all(directory).expect("the test's own directory");
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
        let log = redis.data().join("appendonlydir/appendonly.aof.1.incr.aof");
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
