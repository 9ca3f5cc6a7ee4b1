//! A proxy between a node and Redis that does what networks and a Redis in trouble do. It knows where commands and answers begin
//! and end, so that it loses whole announcements, cuts answers in half and refuses commands with errors of Redis' own; those it
//! does not pass on, and the others' answers stay in their order. Each fault holds from when it is set, for links that are there, too.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::resp::Value;
use crate::wait::uninterrupted;

/// What is wrong; nothing at first.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// One of so many announcements is lost; 0 for none.
    pub lose_one_in: usize,
    /// One of so many answers is cut in half, and its link closed; 0 for none.
    pub cut_one_in: usize,
    /// Every answer comes so much later; order stays.
    pub delay: Duration,
    /// Nothing passes, and nobody is told.
    pub is_partitioned: bool,
    /// Scripts are not run: this error is the answer.
    pub refusal: Option<String>,
    /// One of so many scripts is refused; all, if it is 0 or 1.
    pub refuse_one_in: usize,
}

/// How often it did what.
#[derive(Debug, Default)]
pub struct Done {
    /// Announcements that were lost.
    pub lost: AtomicU64,
    /// Answers that were cut in half.
    pub cut: AtomicU64,
    /// Commands that were refused.
    pub refused: AtomicU64,
    /// Announcements that were passed on.
    pub passed: AtomicU64,
}

/// A running proxy; it ends with the process.
#[derive(Debug)]
pub struct RedisProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    faults: Mutex<Faults>,
    dice: Mutex<Dice>,
    done: Done,
    links: Mutex<Vec<TcpStream>>,
}

impl RedisProxy {
    /// A proxy on a free port; the seed says which announcements and answers are struck.
    ///
    /// # Panics
    ///
    /// When the system has no port left.
    #[must_use]
    #[track_caller]
    pub fn start(redis: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address of our own");
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            dice: Mutex::new(Dice::new(seed)),
            done: Done::default(),
            links: Mutex::default(),
        });
        let kept = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // While Redis is away, who comes finds nobody here either.
                if let Ok(server) = TcpStream::connect(redis) {
                    // A link that ended between is as one that was cut.
                    let _ = start(&kept, client, server);
                }
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is wrong.
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.shared.faults));
    }

    /// From now on nothing is wrong.
    pub fn heal(&self) {
        self.set(|faults| *faults = Faults::default());
    }

    /// Ends all links.
    pub fn cut_all(&self) {
        for link in lock(&self.shared.links).drain(..) {
            let _ = link.shutdown(Shutdown::Both);
        }
    }

    /// What it did.
    #[must_use]
    pub fn done(&self) -> &Done {
        &self.shared.done
    }
}

impl Shared {
    fn faults(&self) -> Faults {
        lock(&self.faults).clone()
    }

    /// Whether one of so many comes true.
    fn strikes(&self, one_in: usize) -> bool {
        one_in > 0 && lock(&self.dice).once_in(one_in)
    }

    fn wait_while_partitioned(&self) {
        while lock(&self.faults).is_partitioned {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// What a client waits for, in order.
enum Due {
    /// What Redis will answer.
    Answer,
    /// What we answer.
    Ours(Vec<u8>),
}

/// Bytes for the client, and when they are to go; the link ends behind the last ones.
struct Parcel {
    bytes: Vec<u8>,
    at: Instant,
    is_last: bool,
}

/// What goes back to a client.
struct Way {
    due: Mutex<Line>,
    parcels: mpsc::Sender<Parcel>,
}

#[derive(Default)]
struct Line {
    due: VecDeque<Due>,
    /// It has subscribed to something: what comes is not asked for.
    is_subscribed: bool,
}

impl Way {
    fn send(&self, bytes: Vec<u8>, delay: Duration, is_last: bool) {
        let at = Instant::now() + delay;
        // The client may have gone.
        let _ = self.parcels.send(Parcel { bytes, at, is_last });
    }

    /// Says what is ours to say before the next answer of Redis.
    fn say_ours(&self, line: &mut Line, delay: Duration) {
        while let Some(Due::Ours(_)) = line.due.front() {
            if let Some(Due::Ours(bytes)) = line.due.pop_front() {
                self.send(bytes, delay, false);
            }
        }
    }
}

fn start(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    lock(&shared.links).extend([client.try_clone()?, server.try_clone()?]);
    let (parcels, to_write) = mpsc::channel();
    let way = Arc::new(Way {
        due: Mutex::default(),
        parcels,
    });
    let (asking, answering) = (client.try_clone()?, server.try_clone()?);
    let ours = (Arc::clone(shared), Arc::clone(&way));
    thread::spawn(move || pass_commands(&ours.0, &ours.1, asking, server));
    let ours = Arc::clone(shared);
    thread::spawn(move || pass_answers(&ours, &way, answering));
    let ours = Arc::clone(shared);
    thread::spawn(move || write(&ours, client, &to_write));
    Ok(())
}

fn pass_commands(shared: &Shared, way: &Way, mut from: TcpStream, mut to: TcpStream) {
    let mut inbox = Vec::new();
    while receive(&mut from, &mut inbox) {
        shared.wait_while_partitioned();
        let mut passed = Vec::new();
        while let Some((command, used)) = Value::decode(&inbox) {
            let bytes: Vec<u8> = inbox.drain(..used).collect();
            if expect(shared, way, &command) {
                passed.extend(bytes);
            }
        }
        if to.write_all(&passed).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Notes what a command will be answered with; whether it is to be passed on.
fn expect(shared: &Shared, way: &Way, command: &Value) -> bool {
    let word = command.parts().first().map_or("", Value::text);
    let word = word.to_ascii_uppercase();
    let faults = shared.faults();
    let mut line = lock(&way.due);
    line.is_subscribed |= word.ends_with("SUBSCRIBE");
    let refusal = faults.refusal.filter(|_| {
        word.starts_with("EVAL") && !line.is_subscribed && {
            faults.refuse_one_in <= 1 || shared.strikes(faults.refuse_one_in)
        }
    });
    let Some(refusal) = refusal else {
        line.due.push_back(Due::Answer);
        return true;
    };
    shared.done.refused.fetch_add(1, Ordering::Relaxed);
    let error = format!("-{refusal}\r\n");
    line.due.push_back(Due::Ours(error.into_bytes()));
    way.say_ours(&mut line, faults.delay);
    false
}

fn pass_answers(shared: &Shared, way: &Way, mut from: TcpStream) {
    let mut inbox = Vec::new();
    while receive(&mut from, &mut inbox) {
        while let Some((answer, used)) = Value::decode(&inbox) {
            let bytes = inbox.drain(..used).collect();
            if !pass_answer(shared, way, &answer, bytes) {
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }
    way.send(Vec::new(), shared.faults().delay, true);
}

/// Whether the link goes on.
fn pass_answer(shared: &Shared, way: &Way, answer: &Value, mut bytes: Vec<u8>) -> bool {
    let faults = shared.faults();
    let kind = answer.parts().first().map_or("", Value::text);
    let mut line = lock(&way.due);
    if matches!(kind, "message" | "smessage" | "pmessage") && line.is_subscribed {
        if shared.strikes(faults.lose_one_in) {
            shared.done.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            shared.done.passed.fetch_add(1, Ordering::Relaxed);
            way.send(bytes, faults.delay, false);
        }
        return true;
    }
    // Who subscribes may get several answers to one command, or one that it did not ask for.
    line.due.pop_front();
    let is_cut = shared.strikes(faults.cut_one_in);
    if is_cut {
        shared.done.cut.fetch_add(1, Ordering::Relaxed);
        bytes.truncate(bytes.len() / 2);
    }
    way.send(bytes, faults.delay, is_cut);
    way.say_ours(&mut line, faults.delay);
    !is_cut
}

fn write(shared: &Shared, mut to: TcpStream, parcels: &mpsc::Receiver<Parcel>) {
    for parcel in parcels {
        thread::sleep(parcel.at.saturating_duration_since(Instant::now()));
        shared.wait_while_partitioned();
        if to.write_all(&parcel.bytes).is_err() || parcel.is_last {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Reads what comes; whether there was something.
fn receive(from: &mut TcpStream, inbox: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 64 << 10];
    match uninterrupted(|| from.read(&mut buffer)) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            inbox.extend_from_slice(&buffer[..count]);
            true
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::Redis;
    use crate::resp::{RedisClient, encode};

    fn through(proxy: &RedisProxy) -> RedisClient {
        RedisClient::connect(proxy.address(), None).expect("Redis answers")
    }

    fn count(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    #[test]
    fn without_a_fault_everything_passes() {
        let redis = Redis::start();
        let proxy = RedisProxy::start(redis.address(), 1);
        let mut client = through(&proxy);
        let big = "x".repeat(300_000);
        assert_eq!(
            client
                .ask(&["SET", "big", &big])
                .expect("Redis answers")
                .text(),
            "OK"
        );
        assert_eq!(
            client.ask(&["GET", "big"]).expect("Redis answers").text(),
            big
        );
        let commands = [encode(&["INCR", "a"]), encode(&["INCR", "a"])].concat();
        client.send(&commands).expect("Redis answers");
        let answers = [
            client.hear().expect("Redis answers"),
            client.hear().expect("Redis answers"),
        ];
        assert_eq!(answers, [Value::Number(1), Value::Number(2)]);
    }

    #[test]
    fn announcements_are_lost_and_nothing_else() {
        let redis = Redis::start();
        let proxy = RedisProxy::start(redis.address(), 1);
        proxy.set(|faults| faults.lose_one_in = 4);
        let mut listener = through(&proxy);
        listener.ask(&["SUBSCRIBE", "news"]).expect("Redis answers");
        for number in 0..200 {
            redis.ask(&["PUBLISH", "news", &number.to_string()]);
        }
        // What is asked on the same link is answered behind what came.
        listener.send(&encode(&["PING"])).expect("Redis answers");
        let mut heard = Vec::new();
        loop {
            let said = listener.hear().expect("Redis answers");
            match said.parts() {
                [kind, _, number] if kind.text() == "message" => {
                    heard.push(number.text().parse::<u32>().expect("Redis answers"));
                }
                _ => break,
            }
        }
        assert!(heard.is_sorted(), "{heard:?}");
        assert_eq!(heard.len() as u64, count(&proxy.done().passed));
        assert_eq!(200 - heard.len() as u64, count(&proxy.done().lost));
        assert!((20..=90).contains(&count(&proxy.done().lost)));
    }

    #[test]
    fn an_answer_is_cut_in_half_and_the_link_ends_there() {
        let redis = Redis::start();
        let proxy = RedisProxy::start(redis.address(), 1);
        redis.ask(&["SET", "key", "a value"]);
        proxy.set(|faults| faults.cut_one_in = 1);
        let mut client = through(&proxy);
        let error = client.ask(&["GET", "key"]).expect_err("the answer was cut");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        proxy.heal();
        assert_eq!(
            through(&proxy)
                .ask(&["GET", "key"])
                .expect("Redis answers")
                .text(),
            "a value"
        );
        assert_eq!(count(&proxy.done().cut), 1);
    }

    #[test]
    fn refused_scripts_are_not_run_and_answers_keep_their_order() {
        let redis = Redis::start();
        let proxy = RedisProxy::start(redis.address(), 1);
        proxy.set(|faults| faults.refusal = Some("OOM command not allowed".to_owned()));
        let mut client = through(&proxy);
        let script = encode(&["EVAL", "return redis.call('INCR', KEYS[1])", "1", "a"]);
        let commands = [
            encode(&["INCR", "b"]),
            script.clone(),
            encode(&["INCR", "b"]),
        ];
        client.send(&commands.concat()).expect("Redis answers");
        let answers = [(); 3].map(|()| client.hear().expect("Redis answers"));
        let refusal = Value::Error("OOM command not allowed".to_owned());
        assert_eq!(answers, [Value::Number(1), refusal, Value::Number(2)]);
        proxy.heal();
        client.send(&script).expect("Redis answers");
        assert_eq!(
            client.hear().expect("Redis answers"),
            Value::Number(1),
            "the first to run"
        );
    }

    #[test]
    fn in_a_partition_nothing_passes_until_it_ends() {
        let redis = Redis::start();
        let proxy = RedisProxy::start(redis.address(), 1);
        let mut client = through(&proxy);
        proxy.set(|faults| faults.is_partitioned = true);
        client
            .send(&encode(&["SET", "key", "1"]))
            .expect("Redis answers");
        let mut newcomer = through(&proxy);
        newcomer.send(&encode(&["PING"])).expect("Redis answers");
        thread::sleep(Duration::from_millis(100));
        assert_eq!(redis.ask(&["GET", "key"]), Value::Nil);
        proxy.heal();
        assert_eq!(client.hear().expect("Redis answers").text(), "OK");
        assert_eq!(newcomer.hear().expect("Redis answers").text(), "PONG");
    }

    #[test]
    fn a_slow_redis_answers_late_and_in_order() {
        let redis = Redis::start();
        let proxy = RedisProxy::start(redis.address(), 1);
        proxy.set(|faults| faults.delay = Duration::from_millis(300));
        let mut client = through(&proxy);
        let began = Instant::now();
        let commands: Vec<u8> = (0..10).flat_map(|_| encode(&["INCR", "a"])).collect();
        client.send(&commands).expect("Redis answers");
        for number in 1..=10 {
            assert_eq!(client.hear().expect("Redis answers"), Value::Number(number));
        }
        assert!(began.elapsed() >= Duration::from_millis(300));
    }
}
