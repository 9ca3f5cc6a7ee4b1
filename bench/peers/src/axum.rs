//! axum: hyper for the handshake, tungstenite for the frames.

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::any;
use axum::serve::ListenerExt as _;

use crate::room::Room;
use crate::{MESSAGE_BYTES_MAX, Mode, stream};

pub(crate) async fn serve(mode: Mode, port: u16) {
    let room = Room::<Message>::new();
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        let upgrade = upgrade
            .max_message_size(MESSAGE_BYTES_MAX)
            .max_frame_size(MESSAGE_BYTES_MAX);
        upgrade.on_upgrade(move |socket| async move {
            let is_data =
                |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
            tokio::task::unconstrained(stream::serve(mode, socket, &room, is_data)).await;
        })
    };
    let listener = crate::listen(port).tap_io(|tcp| {
        let _ = tcp.set_nodelay(true);
    });
    let served = axum::serve(listener, Router::new().route("/", any(upgrade))).await;
    served.expect("it serves for ever");
}
