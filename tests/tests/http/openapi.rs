//! The API's description of itself is served as the rest of the API is. That it is true, `cargo xtask schema` shows.

use tidewire_tests::Server;
use tidewire_tests::http::{HttpConnection, assert_problem};

const DESCRIPTION: &str = "/api/openapi.json";

#[test]
fn the_description_is_json_that_pages_of_listed_origins_may_read() {
    let server = Server::start_with(&["--cors-origin", "https://a.example"]);
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", DESCRIPTION, "Origin: https://a.example\r\n");
    let whole = connection.response();
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("content-type"), Some("application/json"));
    let allowed = whole.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://a.example"));
    let document = whole.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(
        document["paths"][DESCRIPTION]["get"].is_object(),
        "it describes itself: {:?}",
        document["paths"]
    );

    connection.request("HEAD", DESCRIPTION, "Origin: https://b.example\r\n");
    let head = connection.response_to_head();
    assert_eq!(
        head.header("content-length"),
        whole.header("content-length")
    );
    assert_eq!(head.header("access-control-allow-origin"), None);
    connection.request("DELETE", DESCRIPTION, "");
    assert_problem(&connection.response(), 405, "method_not_allowed");
    connection.request_with_body("GET", DESCRIPTION, "", b"x");
    assert_problem(&connection.response(), 413, "too_large");
}
