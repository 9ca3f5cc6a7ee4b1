//! The JavaScript client as an npm package: packed, installed into a fresh project, compiled against in TypeScript, and used from
//! plain Node, without handing it a WebSocket.

use tidewire_tests::script::Script;
use tidewire_tests::{Directory, Launch};

#[test]
fn the_package_installs_compiles_and_chats() {
    let project = Directory::new();
    let server = Launch::default().start();
    let path = project.path().to_str().expect("a path in UTF-8");
    let url = format!("http://{}", server.address());
    Script::node("client_package.mjs", &[path, &url]).finish();
}
