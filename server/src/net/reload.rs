//! Reading the settings again on SIGHUP: a thread waits for the signal, since files are slow, and hands the workers what they
//! go by from then on. What cannot be used changes nothing.
//!
//! What is loaded from files that the settings name is loaded here, too. To add such a thing:
//!
//! 1. give it a pure `load(&Config) -> Result<Arc<Loaded>, Error>`, which [`Server::start`](super::Server::start) calls first;
//! 2. call it in [`Reloaded::load`], so that its error leaves everything as it is, and keep the `Arc` as a field;
//! 3. take that in `Worker::take_reloaded`.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use signal_hook::consts::SIGHUP;
use signal_hook::iterator::{Handle, Signals};
use tracing::{error, info, warn};

use super::inbox::Sender;
use super::notify;
use super::tls::{self, Credentials};
use super::worker::Mail;
use crate::auth::{self, Keys};
use crate::config::{Change, Config, Settings};

/// Reads the settings as they are now, or tells why they cannot be used.
pub type Read = Box<dyn Fn() -> Result<Settings, String> + Send>;

/// What workers are handed when the settings were read again.
#[derive(Debug)]
pub(super) struct Reloaded {
    pub(super) config: Config,
    /// Who comes from now on is shown these, and who is here stays.
    pub(super) credentials: Option<Credentials>,
    /// Tokens that come from now on are checked with these; connections keep what theirs granted until it ends.
    pub(super) keys: Option<Arc<Keys>>,
}

impl Reloaded {
    /// What the settings say, with what is in the files that they name.
    fn load(config: &Config) -> Result<Self, String> {
        let credentials = tls::load(&config.tls).map_err(|error| error.to_string())?;
        let keys = auth::load(&config.auth).map_err(|error| error.to_string())?;
        let config = config.clone();
        Ok(Self {
            config,
            credentials,
            keys,
        })
    }
}

/// The thread. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Reloader {
    signals: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Reloader {
    /// Waits for SIGHUP from now on, which until then ends the process.
    pub(super) fn start(
        settings: Settings,
        read: Read,
        workers: Vec<Sender<Mail>>,
    ) -> io::Result<Self> {
        let mut waiting = Signals::new([SIGHUP])?;
        let signals = waiting.handle();
        let mut state = State {
            settings,
            read,
            workers,
        };
        let wait = move || {
            for _ in waiting.forever() {
                notify::tell(&notify::reloading());
                state.reload();
                notify::tell("READY=1");
            }
        };
        let thread = Builder::new().name("reload".to_owned()).spawn(wait)?;
        Ok(Self {
            signals,
            thread: Some(thread),
        })
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.signals.close();
        if let Some(thread) = self.thread.take() {
            // A panic was told on stderr when it happened.
            let _ = thread.join();
        }
    }
}

/// What the thread knows.
struct State {
    /// Those that hold.
    settings: Settings,
    read: Read,
    workers: Vec<Sender<Mail>>,
}

impl State {
    fn reload(&mut self) {
        let mut settings = self.settings.clone();
        let read = (self.read)().and_then(|read| {
            let changes = settings.take_over(&read);
            Reloaded::load(&settings.config).map(|reloaded| (changes, Arc::new(reloaded)))
        });
        match read {
            Err(why) => error!(
                event = "reload",
                error = why,
                "the settings cannot be used, and nothing has changed: `tidewire config check` tells more"
            ),
            Ok((changes, reloaded)) => {
                self.settings = settings;
                for worker in &self.workers {
                    worker.send([Mail::Reload(Arc::clone(&reloaded))]);
                }
                changes.iter().for_each(tell);
                info!(
                    event = "reload",
                    changes = changes.len(),
                    "the settings were read again"
                );
            }
        }
    }
}

fn tell(change: &Change) {
    let Change { key, was, is, .. } = change;
    if change.is_live {
        info!(
            event = "reload",
            setting = key,
            was,
            is,
            "the setting has changed"
        );
    } else {
        warn!(
            event = "reload",
            setting = key,
            was,
            is,
            "the setting needs a restart: what was holds until then"
        );
    }
}
