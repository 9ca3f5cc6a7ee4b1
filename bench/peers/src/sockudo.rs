//! sockudo-ws: its `WebSocketStream`, with what it calls the defaults of uWebSockets.

use bytes::BytesMut;
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::{Config, Message, WebSocketStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::room::Room;
use crate::{MESSAGE_BYTES_MAX, Mode, stream};

pub(crate) async fn serve(mode: Mode, port: u16) {
    let room = Room::<Message>::new();
    crate::accept(port, move |mut tcp| {
        let room = room.clone();
        async move {
            if upgrade(&mut tcp).await.is_none() {
                return;
            }
            let mut config = Config::uws_defaults();
            config.max_message_size = MESSAGE_BYTES_MAX;
            config.max_frame_size = MESSAGE_BYTES_MAX;
            let socket = WebSocketStream::server(tcp, config);
            let is_data =
                |message: &Message| matches!(message, Message::Text(_) | Message::Binary(_));
            stream::serve(mode, socket, &room, is_data).await;
        }
    })
    .await;
}

/// The handshake, which this crate leaves to its caller; nothing if it is none.
async fn upgrade(tcp: &mut TcpStream) -> Option<()> {
    let mut head = BytesMut::with_capacity(4096);
    loop {
        if let Some((request, _)) = parse_request(&head).ok()? {
            let accept = generate_accept_key(request.key);
            return tcp
                .write_all(&build_response(&accept, None, None))
                .await
                .ok();
        }
        if tcp.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
}
