//! Several nodes on one log: one chat, one operator, and no node that a client would have to come back to.

mod acks_of_replicas;
mod behind_nginx;
mod operator;
mod presence;
mod two_nodes;
