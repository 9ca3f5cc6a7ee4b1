//! tokio-websockets.

use tokio_websockets::{Config, Limits, Message, ServerBuilder};

use crate::room::Room;
use crate::{Mode, stream};

pub(crate) async fn serve(mode: Mode, port: u16) {
    let room = Room::<Message>::new();
    crate::accept(port, move |tcp| {
        let room = room.clone();
        async move {
            // By default it cuts messages into frames of 4 MiB and refuses more than 64 MiB.
            let builder = ServerBuilder::new()
                .config(Config::default().frame_size(usize::MAX))
                .limits(Limits::unlimited());
            let Ok((_, socket)) = builder.accept(tcp).await else {
                return;
            };
            let is_data = |message: &Message| message.is_text() || message.is_binary();
            stream::serve(mode, socket, &room, is_data).await;
        }
    })
    .await;
}
