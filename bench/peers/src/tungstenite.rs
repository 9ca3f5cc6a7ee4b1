//! tokio-tungstenite.

use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::room::Room;
use crate::{MESSAGE_BYTES_MAX, Mode, stream};

pub(crate) async fn serve(mode: Mode, port: u16) {
    let room = Room::<Message>::new();
    crate::accept(port, move |tcp| {
        let room = room.clone();
        async move {
            let config = WebSocketConfig::default()
                .max_message_size(Some(MESSAGE_BYTES_MAX))
                .max_frame_size(Some(MESSAGE_BYTES_MAX));
            let Ok(socket) = accept_async_with_config(tcp, Some(config)).await else {
                return;
            };
            let is_data = |message: &Message| message.is_text() || message.is_binary();
            stream::serve(mode, socket, &room, is_data).await;
        }
    })
    .await;
}
