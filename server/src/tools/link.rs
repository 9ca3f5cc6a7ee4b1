//! How a command comes to its server: the addresses that were typed, a session of its own, and the sentence for when nobody is
//! there. Several addresses are those of nodes that share a log: who loses one goes on at the next.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use crate::client::{Address, Cut, Driver, End, Identity, News, Tls, Trust};

/// How long a server may take to answer a Close frame: it is not waited for because it is needed.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);

/// A client of the server at the first of `urls` that has not connected yet.
///
/// # Errors
/// There is no address, one of them is none, its name has no address, or TLS is to be spoken and nobody is trusted.
pub(super) fn driver(
    urls: &[String],
    trust: &Trust,
    user: Option<String>,
    token: Option<String>,
) -> Result<Server, Box<dyn Error>> {
    let mut places = Vec::new();
    for url in urls {
        let place = Place::of(url, trust)?;
        if urls.len() == 1 {
            // Of the addresses of one server the client keeps the one that worked.
            places.push(place);
        } else {
            places.extend(place.apart());
        }
    }
    let first = places.first().ok_or("where is the server?")?.clone();
    let host = first.address.host.clone();
    let identity = Identity {
        user,
        token,
        // With the numbers of its messages, what makes sending twice harmless: nobody else may have it.
        session: format!("{:016x}", rand::random::<u64>()),
        address: first.address,
        to: first.to,
        tls: first.tls,
    };
    Ok(Server {
        driver: Driver::new(identity)?,
        host,
        places,
        at: 0,
    })
}

/// Where a server, or one of several nodes, may be.
#[derive(Debug, Clone)]
struct Place {
    address: Address,
    to: Vec<SocketAddr>,
    tls: Option<Tls>,
}

impl Place {
    /// What `url` stands for.
    fn of(url: &str, trust: &Trust) -> Result<Self, Box<dyn Error>> {
        let address = Address::parse(url)?;
        let tls = Tls::new(&address, trust)?;
        let to = address
            .resolve_all()
            .map_err(|error| format!("cannot find {}: {error}", address.host))?;
        Ok(Self { address, to, tls })
    }

    /// The same, each address by itself.
    fn apart(self) -> impl Iterator<Item = Self> {
        let Self { address, to, tls } = self;
        to.into_iter().map(move |to| Self {
            address: address.clone(),
            to: vec![to],
            tls: tls.clone(),
        })
    }
}

/// A server and the client that goes there.
#[derive(Debug)]
pub(super) struct Server {
    /// The client and its loop.
    pub(super) driver: Driver,
    /// The server, as it is called.
    pub(super) host: String,
    places: Vec<Place>,
    /// Which of them.
    at: usize,
}

impl Server {
    /// How many addresses it has: where all of them failed at the start, it is not there.
    pub(super) fn addresses(&self) -> usize {
        self.places.iter().map(|place| place.to.len()).sum()
    }

    /// The connection is lost, or there was none: the next one goes to the next address.
    pub(super) fn move_on(&mut self) {
        self.at = (self.at + 1) % self.places.len();
        let Some(place) = self.places.get(self.at).filter(|_| self.places.len() > 1) else {
            return;
        };
        let Place { address, to, tls } = place.clone();
        self.host.clone_from(&address.host);
        self.driver.chat().move_to(address, to, tls);
    }

    /// Says goodbye to a server that is there, so that it knows that this is no accident, and waits a moment for its answer. What
    /// it still says is not looked at.
    pub(super) fn say_goodbye(&mut self) {
        let now = self.driver.now().instant;
        if !self.driver.chat().is_open() {
            return;
        }
        self.driver.chat().cut(Cut::Close, now);
        let until = now + GOODBYE_WAIT;
        while self.driver.turn(Some(until)).is_ok() && self.driver.now().instant < until {
            while let Some(news) = self.driver.chat().poll_news() {
                if matches!(news, News::Lost(_)) {
                    return;
                }
            }
        }
    }

    /// What to say where no address of it welcomes anybody.
    pub(super) fn unreachable(&self, why: &str) -> String {
        let question = if End::is_refusal(why) {
            ""
        } else {
            ": is a server running there?"
        };
        format!("cannot connect to {}: {why}{question}", self.host)
    }
}

/// Whether nobody is to come back after this: the token has expired, or another connection has the session.
pub(super) const fn is_final(end: &End) -> bool {
    matches!(end.code, 4001 | 4003)
}
