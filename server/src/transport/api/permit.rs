//! Whether a call may be made by who makes it. Every call passes here once, whatever it is: a new one has to say what it takes.

use super::{Call, History, Problem, Publish, Subscription};
use crate::auth::{Access, Right};

/// The call as it may be carried out: in the name of who makes it.
///
/// # Errors
/// 403: the token does not grant it.
pub(super) fn permit(call: Call, access: &Access) -> Result<Call, Problem> {
    match &call {
        // What they may not know of is left out of the list.
        Call::Rooms(_) => {}
        Call::Presence(room) => access.allow_presence(room.as_str())?,
        Call::Publish(Publish { log, .. }) => {
            access.allow_writing(log)?;
        }
        Call::History(History { log, .. }) => access.allow_reading(log)?,
        Call::Events(Subscription { logs, .. }) | Call::Poll(Subscription { logs, .. }, _) => {
            for log in logs {
                access.allow_reading(log)?;
            }
        }
        // The hub looks at each room, and says so in the stream, as on a WebSocket.
        Call::ChatEvents(_) | Call::ChatPoll(..) => {}
        Call::Typing(room, _) => access.allow(Right::Publish, room.as_str())?,
        Call::Operate(_) | Call::Capture(_) => access.allow_operating()?,
        // Whoever has a token may keep files; and who knows a file's address may read it.
        Call::Upload(_) | Call::Download(_) => {}
        // It was looked at where the session began, and the hub looks at each room.
        Call::Open(_) | Call::Knock(..) => {}
    }
    Ok(call)
}
