//! Logs of the server's own that sessions of other protocols read and write: of MQTT, so that a session outlives the process. Nobody
//! follows them, and what is written there is shown to nobody.

use super::Worker;
use super::delivery::Context;
use crate::ids::{ConnId, LogName, Session, UserName};
use crate::log::{AppendError, Draft, Page, PageMax, Part, Placed, Request, StoreError};
use crate::transport::mqtt::{Memo, Ticket};

/// What is read of such a log: the newest entry holds, or one right before it.
const RECALLED_MAX: PageMax = PageMax {
    entries: 4,
    bytes: 2 << 20,
};

impl Worker {
    /// Reads the newest entries of a log for a connection's session.
    pub(super) fn recall(&mut self, id: ConnId, log: LogName) {
        let context = self.asked(Context::Recall(id));
        self.ask(Request::History {
            log,
            part: Part::Before(None),
            max: RECALLED_MAX,
            context,
        });
    }

    /// They are there, or cannot be read.
    pub(super) fn recalled(&mut self, id: ConnId, page: Result<Page, StoreError>) {
        self.status.own.mqtt_sessions_unread += u64::from(page.is_err());
        self.with_session(id, |session, now, out| match page {
            Ok(page) => session.recalled(Ok(&page.entries), now, out),
            Err(error) => session.recalled(Err(error), now, out),
        });
    }

    /// Writes what a session is.
    pub(super) fn keep_memo(&mut self, id: ConnId, memo: Memo) {
        let Memo {
            log,
            content,
            ticket,
        } = memo;
        let draft = Draft {
            log,
            from: UserName::server(),
            session: Session::http(),
            seq: None,
            content,
            time: self.now.unix_ms,
        };
        self.memos += 1;
        let asked = self.asked(Context::Memo(id, Box::new(ticket)));
        self.ask(Request::Append(draft, asked));
    }

    /// The log has taken it, or not. A connection that has ended meanwhile may have left something.
    pub(super) fn memo_placed(
        &mut self,
        id: ConnId,
        ticket: Ticket,
        result: &Result<Placed, AppendError>,
    ) {
        self.memos -= 1;
        let counter = if result.is_ok() {
            &mut self.status.own.mqtt_sessions_saved
        } else {
            &mut self.status.own.mqtt_sessions_unsaved
        };
        *counter += 1;
        if let Some(last) = ticket.answered(result.is_ok(), self.now.instant) {
            return self.keep_memo(id, last);
        }
        self.with_session(id, |session, now, out| session.memo_kept(now, out));
    }
}
