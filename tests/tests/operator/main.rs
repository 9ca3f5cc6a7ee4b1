//! What an operator sees and does: metrics, readiness, causes, settings, and the end of a server.

mod drain;
mod metrics;
mod readiness;
mod reload_on_sighup;
mod secrets_in_logs;
mod termination_signals;
mod why_it_ended;
