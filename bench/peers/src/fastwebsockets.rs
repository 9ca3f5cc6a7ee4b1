//! fastwebsockets, upgraded by hyper as in its own echo server, which writes every frame by itself. The relay has a buffer
//! in front of the socket and flushes it once for all that waited.

use std::sync::Arc;

use bytes::Bytes;
use fastwebsockets::upgrade::{self, UpgradeFut};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::BufWriter;

use crate::room::{Member, Room};
use crate::{MESSAGE_BYTES_MAX, Mode};

/// Whether it is text, and its content.
type Message = (bool, Bytes);

pub(crate) async fn serve(mode: Mode, port: u16) {
    let room = Room::<Message>::new();
    crate::accept(port, move |tcp| {
        let room = room.clone();
        async move {
            let service = service_fn(move |request| answer(mode, request, room.clone()));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
            // An error is the end of the connection.
            let _ = connection.with_upgrades().await;
        }
    })
    .await;
}

async fn answer(
    mode: Mode,
    mut request: Request<Incoming>,
    room: Arc<Room<Message>>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgrade) = upgrade::upgrade(&mut request)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        let _ = match mode {
            Mode::Echo => echo(upgrade).await,
            Mode::Relay => relay(upgrade, &room).await,
        };
    }));
    Ok(response)
}

async fn echo(upgrade: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = upgrade.await?;
    socket.set_max_message_size(MESSAGE_BYTES_MAX);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Close => return Ok(()),
            OpCode::Continuation | OpCode::Ping | OpCode::Pong => {}
        }
    }
}

async fn relay(upgrade: UpgradeFut, room: &Arc<Room<Message>>) -> Result<(), WebSocketError> {
    let mut socket = upgrade.await?;
    socket.set_max_message_size(MESSAGE_BYTES_MAX);
    let (reader, mut writer) = socket.split(|stream| {
        let (reader, writer) = tokio::io::split(stream);
        (reader, BufWriter::with_capacity(64 * 1024, writer))
    });
    let mut member = room.enter();
    let writing = tokio::spawn(async move {
        while let Some(message) = member.inbox.recv().await {
            writer.write_frame(frame(&message)).await?;
            write_what_waits(&mut writer, &mut member).await?;
            writer.flush().await?;
        }
        Ok::<(), WebSocketError>(())
    });
    let mut reader = FragmentCollectorRead::new(reader);
    // Pings are not answered: the load sends none.
    let mut answer = |_| async { Ok(()) };
    let result = loop {
        match reader.read_frame::<_, WebSocketError>(&mut answer).await {
            Err(error) => break Err(error),
            Ok(frame) if frame.opcode == OpCode::Close => break Ok(()),
            Ok(frame) => room.say(&(
                frame.opcode == OpCode::Text,
                Bytes::copy_from_slice(&frame.payload),
            )),
        }
    };
    writing.abort();
    result
}

async fn write_what_waits<Stream>(
    writer: &mut fastwebsockets::WebSocketWrite<Stream>,
    member: &mut Member<Message>,
) -> Result<(), WebSocketError>
where
    Stream: tokio::io::AsyncWrite + Unpin,
{
    while let Ok(message) = member.inbox.try_recv() {
        writer.write_frame(frame(&message)).await?;
    }
    Ok(())
}

fn frame((is_text, content): &Message) -> Frame<'_> {
    match is_text {
        true => Frame::text(Payload::Borrowed(content)),
        false => Frame::binary(Payload::Borrowed(content)),
    }
}
