//! What crates whose WebSocket is a `Stream` and a `Sink` of messages have in common.

use std::sync::Arc;

use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};

use crate::Mode;
use crate::room::Room;

/// Most answers before a flush.
const BATCH_MAX: usize = 64;

/// Serves one connection until it ends; `is_data` tells messages from what is the protocol's own.
pub(crate) async fn serve<Socket, Message, Error>(
    mode: Mode,
    socket: Socket,
    room: &Arc<Room<Message>>,
    is_data: impl Fn(&Message) -> bool,
) where
    Message: Clone,
    Socket: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    // A connection that fails is one that ends.
    let _ = match mode {
        Mode::Echo => echo(socket, is_data).await,
        Mode::Relay => relay(socket, room, is_data).await,
    };
}

async fn echo<Socket, Message, Error>(
    mut socket: Socket,
    is_data: impl Fn(&Message) -> bool,
) -> Result<(), Error>
where
    Socket: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while let Some(first) = socket.next().await {
        batch.push(first?);
        while batch.len() < BATCH_MAX
            && let Some(Some(next)) = socket.next().now_or_never()
        {
            batch.push(next?);
        }
        for message in batch.drain(..).filter(&is_data) {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn relay<Socket, Message, Error>(
    mut socket: Socket,
    room: &Arc<Room<Message>>,
    is_data: impl Fn(&Message) -> bool,
) -> Result<(), Error>
where
    Message: Clone,
    Socket: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let mut member = room.enter();
    loop {
        tokio::select! {
            biased;
            Some(message) = member.inbox.recv() => {
                socket.feed(message).await?;
                while let Ok(message) = member.inbox.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
            received = socket.next() => match received {
                None => return Ok(()),
                Some(message) => {
                    let message = message?;
                    if is_data(&message) {
                        room.say(&message);
                    }
                }
            }
        }
    }
}
