//! An operator's questions that home alone cannot answer: the other workers are asked for their connections, and the other nodes for
//! theirs, who ask their workers. A node that has not answered in time is named in the answer.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Worker;
use super::chat::Chat;
use super::mail::Mail;
use super::recording::is_plain_http;
use crate::chat::Hub;
use crate::ids::{ConnId, NodeName};
use crate::recorder::Account;
use crate::transport::{Found, Operation, Subject, WHY_MAX, admin, of_connections, of_users};

/// Questions that wait for others; a further one is refused.
const INQUIRIES_MAX: usize = 32;

/// How long other nodes have for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Those that wait.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    waiting: HashMap<u32, Inquiry>,
    asked: u32,
}

/// A question that others were asked.
#[derive(Debug)]
struct Inquiry {
    asker: Asker,
    operation: Operation,
    accounts: Vec<Account>,
    items: Vec<Value>,
    /// Workers that have not answered.
    missing: usize,
    /// Nodes that have not.
    silent: BTreeSet<NodeName>,
    until: Instant,
}

/// Whose question it is.
#[derive(Debug)]
enum Asker {
    /// An operator's, on this connection.
    Connection(ConnId),
    /// Another node's, and its number there.
    Node(NodeName, u32),
}

/// What a worker is asked: which of its connections there are.
#[derive(Debug)]
pub(in crate::net) struct Question {
    which: Which,
    max: usize,
}

#[derive(Debug)]
enum Which {
    /// These.
    These(Vec<ConnId>),
    /// Those of an address, and if it names a port, the one of that.
    Address(SocketAddr),
    /// These, and those whose address or name has this in it.
    Like(Vec<ConnId>, String),
}

impl Inquiries {
    /// When to give up waiting for nodes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|inquiry| inquiry.until).min()
    }
}

impl Inquiry {
    fn is_answered(&self) -> bool {
        self.missing == 0 && self.silent.is_empty()
    }
}

impl Worker {
    // ---- asking ----

    /// Asks for an operator.
    pub(super) fn inquire(&mut self, conn: ConnId, operation: Operation) {
        self.begin_inquiry(Asker::Connection(conn), operation);
    }

    /// Another node asks for one.
    pub(super) fn inquire_for_node(&mut self, node: NodeName, number: u32, question: Value) {
        let asker = Asker::Node(node, number);
        match serde_json::from_value(question) {
            Ok(operation) => self.begin_inquiry(asker, operation),
            // A newer node's, perhaps: it is not to wait.
            Err(_) => self.refuse_inquiry(asker),
        }
    }

    fn begin_inquiry(&mut self, asker: Asker, operation: Operation) {
        let is_full = |inquiries: &Inquiries| inquiries.waiting.len() >= INQUIRIES_MAX;
        if self
            .desk
            .as_ref()
            .is_none_or(|desk| is_full(&desk.inquiries))
        {
            return self.refuse_inquiry(asker);
        }
        let items = match &operation {
            Operation::Users(list) => match &self.chat {
                Chat::Here(hub) => of_users(&hub.users_like(&list.search, list.limit)),
                Chat::There(_) => Vec::new(),
            },
            Operation::Disconnect(user) => vec![json!(self.disconnect(user))],
            Operation::Why(_)
            | Operation::Connections(_)
            | Operation::Overview { .. }
            | Operation::Rooms(_)
            | Operation::Drain => Vec::new(),
        };
        let Chat::Here(hub) = &self.chat else {
            return;
        };
        let question = question(hub, &operation);
        let silent = match asker {
            Asker::Connection(_) => nodes_to_ask(hub, &operation),
            Asker::Node(..) => BTreeSet::new(),
        };
        let accounts = question
            .as_ref()
            .map(|question| self.find_accounts(question));
        let inquiry = Inquiry {
            asker,
            operation,
            accounts: accounts.unwrap_or_default(),
            items,
            missing: question.as_ref().map_or(0, |_| self.peers.others()),
            silent,
            until: self.now.instant + PATIENCE,
        };
        if inquiry.is_answered() {
            return self.conclude(inquiry);
        }
        self.ask_others(inquiry, question);
    }

    fn ask_others(&mut self, inquiry: Inquiry, question: Option<Question>) {
        let (Some(desk), Chat::Here(hub)) = (&mut self.desk, &mut self.chat) else {
            return;
        };
        let inquiries = &mut desk.inquiries;
        inquiries.asked = inquiries.asked.wrapping_add(1);
        let number = inquiries.asked;
        if !inquiry.silent.is_empty() {
            // Names and numbers have no way to fail.
            let question = serde_json::to_value(&inquiry.operation).unwrap_or_default();
            hub.ask_nodes(number, question);
        }
        inquiries.waiting.insert(number, inquiry);
        if let Some(question) = question.map(Arc::new) {
            self.peers
                .post_to_others(|| Mail::Ask(number, Arc::clone(&question)));
        }
    }

    fn refuse_inquiry(&mut self, asker: Asker) {
        match (asker, &mut self.chat) {
            (Asker::Connection(conn), _) => self.answer(conn, admin::busy()),
            (Asker::Node(node, number), Chat::Here(hub)) => {
                hub.answer_node(&node, number, Vec::new());
            }
            (Asker::Node(..), Chat::There(_)) => {}
        }
    }

    // ---- answers ----

    /// Another worker is asked, and answers.
    pub(super) fn answer_home(&mut self, number: u32, question: &Question) {
        let found = self.find_accounts(question);
        self.peers.post_home(Mail::Found(number, found));
    }

    /// At home: a worker has answered.
    pub(super) fn note_found(&mut self, number: u32, found: Vec<Account>) {
        self.note_answer(number, |inquiry| {
            inquiry.accounts.extend(found);
            inquiry.missing = inquiry.missing.saturating_sub(1);
        });
    }

    /// A node has answered, or a part of it.
    pub(super) fn note_found_elsewhere(
        &mut self,
        node: &NodeName,
        number: u32,
        is_all: bool,
        items: Vec<Value>,
    ) {
        self.note_answer(number, |inquiry| {
            if inquiry.silent.contains(node) {
                inquiry.items.extend(items);
            }
            if is_all {
                inquiry.silent.remove(node);
            }
        });
    }

    fn note_answer(&mut self, number: u32, note: impl FnOnce(&mut Inquiry)) {
        let Some(desk) = &mut self.desk else {
            return;
        };
        let waiting = &mut desk.inquiries.waiting;
        let Some(inquiry) = waiting.get_mut(&number) else {
            return;
        };
        note(inquiry);
        if inquiry.is_answered()
            && let Some(inquiry) = waiting.remove(&number)
        {
            self.conclude(inquiry);
        }
    }

    /// When a question has waited for long enough.
    pub(super) fn inquiries_due(&self) -> Option<Instant> {
        self.desk.as_ref()?.inquiries.due()
    }

    /// Answers those without who is silent.
    pub(super) fn conclude_old_inquiries(&mut self) {
        let now = self.now.instant;
        while self.inquiries_due().is_some_and(|due| due <= now)
            && let Some(desk) = &mut self.desk
        {
            let waiting = &mut desk.inquiries.waiting;
            let old = waiting.iter().find(|(_, inquiry)| inquiry.until <= now);
            let old = old.map(|(number, _)| *number);
            if let Some(inquiry) = old.and_then(|number| waiting.remove(&number)) {
                self.worked = true;
                self.conclude(inquiry);
            }
        }
    }

    /// Tells who asked what was found.
    fn conclude(&mut self, mut inquiry: Inquiry) {
        let (Chat::Here(hub), Some(desk)) = (&mut self.chat, &self.desk) else {
            return;
        };
        for account in &mut inquiry.accounts {
            if let Some((user, rooms)) = hub.who(account.id) {
                (account.user, account.rooms) = (Some(user.clone()), rooms);
            }
        }
        let mut accounts: Vec<&Account> = inquiry.accounts.iter().collect();
        match &inquiry.operation {
            Operation::Why(subject) => {
                let left = WHY_MAX.saturating_sub(accounts.len());
                let is_meant = |account: &Account| match subject {
                    Subject::Connection(node, id) => {
                        account.id == *id && is_here(hub, node.as_ref())
                    }
                    Subject::User(user) => account.user.as_ref() == Some(user),
                    Subject::Address(address) => is_from(account.peer, *address),
                };
                accounts.extend(desk.archive.find(left, is_meant));
            }
            Operation::Connections(list) => accounts.truncate(list.limit),
            Operation::Users(_) | Operation::Disconnect(_) => {}
            Operation::Overview { .. } | Operation::Rooms(_) | Operation::Drain => return,
        }
        let mut items = of_connections(&accounts, hub.node_name(), &inquiry.operation);
        items.append(&mut inquiry.items);
        match inquiry.asker {
            Asker::Connection(conn) => {
                let found = Found {
                    recorder: self.recording.is_on(),
                    items,
                    silent: inquiry.silent.into_iter().collect(),
                };
                self.answer(conn, found.into_response(&inquiry.operation));
            }
            Asker::Node(node, number) => hub.answer_node(&node, number, items),
        }
    }

    // ---- finding ----

    /// Which of this worker's connections are meant.
    fn find_accounts(&mut self, question: &Question) -> Vec<Account> {
        let max = question.max;
        let ours = |ids: &[ConnId]| -> Vec<ConnId> {
            let ours = ids.iter().filter(|id| self.peers.is_ours(**id));
            ours.copied().take(max).collect()
        };
        let ids = match &question.which {
            Which::These(ids) => ours(ids),
            Which::Address(address) => self
                .table
                .find(max, |_, conn| is_from(conn.peer.into(), *address)),
            Which::Like(ids, text) => {
                let mut found = ours(ids);
                let more = self.table.find(max, |id, conn| {
                    // Pages ask over a dozen connections, which nobody looks for.
                    let is_like = text.is_empty() && !is_plain_http(conn)
                        || !text.is_empty()
                            && SocketAddr::from(conn.peer).to_string().contains(text)
                        || id.to_string() == *text;
                    is_like && !found.contains(&id)
                });
                found.extend(more);
                found.truncate(max);
                found
            }
        };
        ids.into_iter().filter_map(|id| self.account(id)).collect()
    }
}

/// What workers are to be asked for an operation, if anything.
fn question(hub: &Hub, operation: &Operation) -> Option<Question> {
    let (which, max) = match operation {
        Operation::Why(Subject::Connection(node, id)) => {
            let ids = is_here(hub, node.as_ref()).then_some(*id);
            (Which::These(Vec::from_iter(ids)), WHY_MAX)
        }
        Operation::Why(Subject::User(user)) => {
            (Which::These(hub.connections_of(user).to_vec()), WHY_MAX)
        }
        Operation::Why(Subject::Address(address)) => (Which::Address(*address), WHY_MAX),
        Operation::Connections(list) => {
            // As it is shown, with the node's name.
            let own = hub.node_name().and_then(|name| {
                let rest = list.search.strip_prefix(name.as_str())?;
                rest.strip_prefix('/')
            });
            let search = own.unwrap_or(&list.search);
            let users = hub.connections_like(search, list.limit);
            (Which::Like(users, search.to_owned()), list.limit)
        }
        Operation::Overview { .. } | Operation::Rooms(_) | Operation::Users(_) => return None,
        Operation::Disconnect(_) | Operation::Drain => return None,
    };
    Some(Question { which, max })
}

/// The nodes that may know something.
fn nodes_to_ask(hub: &Hub, operation: &Operation) -> BTreeSet<NodeName> {
    let only = match operation {
        Operation::Why(Subject::Connection(None, _)) => return BTreeSet::new(),
        Operation::Why(Subject::Connection(Some(node), _)) => Some(node),
        Operation::Why(Subject::User(_) | Subject::Address(_))
        | Operation::Connections(_)
        | Operation::Users(_)
        | Operation::Disconnect(_) => None,
        Operation::Overview { .. } | Operation::Rooms(_) | Operation::Drain => {
            return BTreeSet::new();
        }
    };
    let is_asked = |name: &&NodeName| only.is_none_or(|only| only == *name);
    hub.node_names().filter(is_asked).cloned().collect()
}

/// Whether a connection that is named with this node is one of this server.
fn is_here(hub: &Hub, node: Option<&NodeName>) -> bool {
    node.is_none_or(|node| hub.node_name() == Some(node))
}

/// Whether a peer is at an address, in which port 0 stands for any.
fn is_from(peer: SocketAddr, address: SocketAddr) -> bool {
    peer.ip() == address.ip() && (address.port() == 0 || address.port() == peer.port())
}
