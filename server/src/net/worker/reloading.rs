//! How a worker takes over settings that were read again.

use std::sync::Arc;

use super::Worker;
use super::chat::Chat;
use crate::log::Request;
use crate::net::conn::{App, State};
use crate::net::reload::Reloaded;
use crate::transport::HttpConfig;

impl Worker {
    /// Goes by these settings from now on, for the connections that are there, too: a wait that has begun is as long as it is
    /// now, and what a client was told when it came (`welcome`) is not told again.
    pub(super) fn take_reloaded(&mut self, reloaded: &Reloaded) {
        let config = &reloaded.config;
        self.web_sockets = config.web_sockets();
        let addresses = self.http.addresses.as_ref();
        let addresses = addresses
            .map(|addresses| addresses.under(config.limits.address(config.messages_per_second)));
        self.http = HttpConfig {
            addresses,
            ..config.http(reloaded.keys.clone())
        };
        self.relay_limit = config.limits.relay(config.messages_per_second);
        self.lag_max = config.lag_max;
        self.credentials.clone_from(&reloaded.credentials);
        self.drain_time = config.drain.time;
        self.feeds.set_rules(Arc::clone(&config.rules));
        if let Chat::Here(hub) = &mut self.chat {
            hub.reconfigure(config.hub(reloaded.keys.clone()));
            // One of the workers tells the log.
            self.logs.send(Request::Rules(Arc::clone(&config.rules)));
        }
        for id in self.table.ids() {
            if let Some(conn) = self.table.get_mut(id)
                && let State::WebSocket(web_socket) = &mut conn.state
            {
                if conn.stream.is_nowhere() {
                    continue;
                }
                let config = match web_socket.app {
                    App::Echo => &self.web_sockets.echo,
                    App::Relay(_) => &self.web_sockets.relay,
                    App::Chat(_) | App::Gone => &self.web_sockets.chat,
                };
                web_socket.connection.reconfigure(Arc::clone(config));
            }
            self.schedule(id);
        }
    }
}
