//! Many connections, slow ones, rude ones and all at once: what they cost, and that the others are served.

mod address_limits;
mod after_a_pause;
mod connections_leave_nothing;
mod file_descriptor_exhaustion;
mod five_thousand_connections;
mod floods;
mod memory_budget;
mod no_spinning;
mod reconnect_storm;
mod slow_header_sender;
mod slowloris;
mod standstill;
