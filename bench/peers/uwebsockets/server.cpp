// uwebsockets echo|relay|deflate PORT
//
// An echo and relay server on uWebSockets, as its own EchoServer and Broadcast examples have it. Nothing is dropped for want
// of room in a buffer; deflate is with the shared compressor, which keeps no memory for a connection.

#include <cstdlib>
#include <string>
#include <string_view>

#include "App.h"

struct Nothing {};

using Socket = uWS::WebSocket<false, true, Nothing>;

static uWS::App *app;

static void echo(Socket *socket, std::string_view message, uWS::OpCode opcode) {
    socket->send(message, opcode);
}

static void echoCompressed(Socket *socket, std::string_view message, uWS::OpCode opcode) {
    socket->send(message, opcode, true);
}

// To everybody, the sender too.
static void relay(Socket *, std::string_view message, uWS::OpCode opcode) {
    app->publish("room", message, opcode);
}

int main(int count, char **words) {
    if (count != 3) {
        return EXIT_FAILURE;
    }
    std::string mode = words[1];
    uWS::App::WebSocketBehavior<Nothing> behavior;
    behavior.compression = mode == "deflate" ? uWS::SHARED_COMPRESSOR : uWS::DISABLED;
    behavior.maxPayloadLength = 128 << 20;
    behavior.maxBackpressure = 0;
    behavior.message = mode == "relay" ? relay : mode == "deflate" ? echoCompressed : echo;
    if (mode == "relay") {
        behavior.open = [](Socket *socket) { socket->subscribe("room"); };
    }
    uWS::App server;
    app = &server;
    bool listens = false;
    server.ws<Nothing>("/*", std::move(behavior))
        .listen("127.0.0.1", std::atoi(words[2]), [&listens](auto *listener) { listens = listener; });
    if (!listens) {
        return EXIT_FAILURE;
    }
    server.run();
}
