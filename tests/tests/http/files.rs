//! Files: what is sent is what comes back, nothing half-way is kept, nothing else is reached, and nothing that somebody
//! sent runs in a browser.

use std::time::Duration;

use tidewire_tests::http::{HttpConnection, Response, assert_problem, get, send};
use tidewire_tests::wire::End;
use tidewire_tests::{Client, Directory, Launch, Server, wait_until};

/// The default of `--file-bytes-max`.
const LIMIT: usize = 16 << 20;

/// Bytes that show when a piece of them is missing, doubled or moved.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[track_caller]
fn upload(server: &Server, query: &str, kind: &str, body: &[u8]) -> Response {
    let headers = format!("Content-Type: {kind}\r\n");
    let target = format!("/api/files{query}");
    let response = send(server.address(), "POST", &target, &headers, body);
    assert_eq!(response.status, 201, "{response:?}");
    response
}

/// Uploads and returns the address.
#[track_caller]
fn uploaded(server: &Server, kind: &str, body: &[u8]) -> String {
    let json = upload(server, "", kind, body).json();
    json["url"].as_str().expect("an address").to_owned()
}

#[test]
fn a_file_comes_back_as_it_was_sent() {
    let server = Server::start();
    for length in [0, 1, 100, 65_535, 65_536, 65_537, 1_000_000, LIMIT] {
        let bytes = pattern(length);
        let response = upload(&server, "", "image/png", &bytes);
        let json = response.json();
        let id = json["id"].as_str().expect("an id");
        assert!(id.len() >= 22, "128 random bits: {id}");
        assert_eq!(json["url"], format!("/files/{id}"));
        assert_eq!(json["size"], length);
        assert_eq!(json["type"], "image/png");
        assert_eq!(response.header("location"), json["url"].as_str());
        let file = get(server.address(), &format!("/files/{id}"));
        assert_eq!(file.status, 200);
        assert_eq!(file.header("content-type"), Some("image/png"));
        assert!(file.body == bytes, "{length} bytes come back as they were");
    }
}

#[test]
fn a_file_over_the_limit_is_413_before_it_is_sent() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    let length = format!("Content-Length: {}\r\n", LIMIT + 1);
    connection.request("POST", "/api/files", &length);
    let response = connection.response();
    assert_problem(&response, 413, "too_large");
    assert!(response.text().contains("16777216"), "{response:?}");
    assert!(response.announces_close(), "{response:?}");
    assert_eq!(connection.expect_end(), End::Closed);
}

#[test]
fn who_sends_all_of_a_file_over_the_limit_still_reads_why_it_is_refused() {
    let server = Server::start();
    for _ in 0..5 {
        let response = send(
            server.address(),
            "POST",
            "/api/files",
            "",
            &vec![0; LIMIT + 1],
        );
        assert_problem(&response, 413, "too_large");
    }
}

#[test]
fn the_limit_can_be_set() {
    let server = Server::start_with(&["--file-bytes-max", "10"]);
    uploaded(&server, "text/plain", b"0123456789");
    let response = send(server.address(), "POST", "/api/files", "", b"0123456789a");
    assert_problem(&response, 413, "too_large");
}

#[test]
fn all_files_together_have_a_limit_which_an_upload_that_is_cut_off_gives_back() {
    let directory = Directory::new();
    let server = Launch::default()
        .temporary_directory(directory.path())
        .arguments(&["--files-bytes-max", "1000"])
        .start();
    uploaded(&server, "text/plain", &[0; 600]);
    let mut half = HttpConnection::open(server.address());
    half.request("POST", "/api/files", "Content-Length: 400\r\n");
    half.wire.send(&[0; 100]);
    let one_more = || send(server.address(), "POST", "/api/files", "", b"x");
    wait_until("it is begun", || directory.files().len() == 2);
    assert_problem(&one_more(), 507, "storage_full");
    drop(half);
    wait_until("it is free again", || one_more().status == 201);
}

#[test]
fn several_files_come_and_go_over_one_connection() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    let mut addresses = Vec::new();
    for length in [10, 0, 200_000] {
        connection.request_with_body("POST", "/api/files", "", &pattern(length));
        let json = connection.response().json();
        addresses.push((json["url"].as_str().expect("an address").to_owned(), length));
    }
    for (address, length) in addresses {
        connection.request("GET", &address, "");
        assert!(connection.response().body == pattern(length));
    }
}

#[test]
fn many_at_once_do_not_mix() {
    let server = Server::start();
    let mut connections: Vec<_> = (0..50u32)
        .map(|n| (HttpConnection::open(server.address()), n))
        .collect();
    let body = |n: u32| vec![n as u8; 30_000 + n as usize];
    for (connection, n) in &mut connections {
        let length = format!("Content-Length: {}\r\n", body(*n).len());
        connection.request("POST", "/api/files", &length);
    }
    for part in 0..3 {
        for (connection, n) in &mut connections {
            let body = body(*n);
            let third = body.len().div_ceil(3);
            let chunk = body.chunks(third).nth(part).unwrap_or_default();
            connection.wire.send(chunk);
        }
    }
    for (connection, n) in &mut connections {
        let json = connection.response().json();
        let address = json["url"].as_str().expect("an address").to_owned();
        connection.request("GET", &address, "");
        assert!(connection.response().body == body(*n), "file {n}");
    }
}

#[test]
fn a_slow_upload_arrives_and_the_chat_goes_on_meanwhile() {
    let server = Server::start();
    let mut connection = HttpConnection::open(server.address());
    connection.request("POST", "/api/files", "Content-Length: 100\r\n");
    let mut client = Client::open(server.address(), "/echo");
    for byte in pattern(100) {
        connection.wire.send(&[byte]);
        client.expect_alive();
    }
    let json = connection.response().json();
    let file = get(server.address(), json["url"].as_str().expect("an address"));
    assert_eq!(file.body, pattern(100));
}

#[test]
fn an_upload_that_takes_too_long_is_408_and_leaves_nothing() {
    let directory = Directory::new();
    let server = Launch::default()
        .temporary_directory(directory.path())
        .arguments(&["--handshake-timeout", "5s"])
        .start();
    let mut connection = HttpConnection::open(server.address());
    connection.request("POST", "/api/files", "Content-Length: 1000\r\n");
    connection.wire.send(b"half");
    wait_until("the file is begun", || directory.files().len() == 1);
    let response = connection.response();
    assert_problem(&response, 408, "timeout");
    assert!(response.announces_close(), "{response:?}");
    wait_until("nothing is left of it", || directory.files().is_empty());
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let directory = Directory::new();
    let server = Launch::default()
        .temporary_directory(directory.path())
        .start();
    for reset in [false, true] {
        let mut connection = HttpConnection::open(server.address());
        connection.request("POST", "/api/files", "Content-Length: 1000000\r\n");
        connection.wire.send(&pattern(300_000));
        wait_until("the file is begun", || directory.files().len() == 1);
        if reset {
            let socket = socket2::SockRef::from(connection.wire.stream());
            socket.set_linger(Some(Duration::ZERO)).expect("a reset");
        }
        drop(connection);
        wait_until("nothing is left of it", || directory.files().is_empty());
    }
    uploaded(&server, "text/plain", b"and the next one is kept");
    assert_eq!(directory.files().len(), 1);
}

#[test]
fn files_in_memory_mode_go_with_the_server() {
    let directory = Directory::new();
    let mut server = Launch::default()
        .temporary_directory(directory.path())
        .start();
    uploaded(&server, "text/plain", b"x");
    assert_eq!(directory.files().len(), 1);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let left = std::fs::read_dir(directory.path()).expect("the test's directory");
    assert_eq!(
        left.count(),
        0,
        "neither files nor their directory are left"
    );
}

#[test]
fn what_is_no_id_is_404_and_reaches_nothing() {
    let server = Server::start();
    let address = uploaded(&server, "text/plain", b"x");
    let id = address.trim_start_matches("/files/");
    for target in [
        "/files/",
        "/files",
        "/files/.",
        "/files/..",
        "/files/../files",
        "/files/%2e%2e",
        "/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
        "/files/etc/passwd",
        &format!("/files/./{id}"),
        &format!("/files/%2e%2f{id}"),
        &format!("/files/{id}/"),
        &format!("/files/{id}%00"),
        &format!("/files/{id}.part"),
        &format!(
            "/files/{}",
            id.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A")
        ),
        &format!("/files/{}", "0".repeat(32)),
        &format!("/files/{}", "0".repeat(4000)),
    ] {
        assert_problem(&get(server.address(), target), 404, "not_found");
    }
    assert_problem(&get(server.address(), "/files/%ff"), 400, "bad_address");
    assert_eq!(get(server.address(), &address).status, 200);
}

#[test]
fn head_has_the_head_of_get_and_no_body() {
    let server = Server::start();
    let address = uploaded(&server, "image/gif", &pattern(5000));
    let file = get(server.address(), &address);
    let mut connection = HttpConnection::open(server.address());
    // Ranges are of GET alone (RFC 9110 §14.2).
    connection.request("HEAD", &address, "Range: bytes=1-2\r\n");
    let head = connection.response_to_head();
    assert_eq!(head.status, 200);
    for name in [
        "content-type",
        "content-length",
        "etag",
        "accept-ranges",
        "cache-control",
    ] {
        assert!(head.header(name).is_some(), "{name}");
        assert_eq!(head.header(name), file.header(name), "{name}");
    }
    connection.request("GET", &address, "");
    assert_eq!(
        connection.response().body,
        file.body,
        "no body was sent before"
    );
}

#[test]
fn a_part_of_a_file_can_be_asked_for() {
    let server = Server::start();
    let bytes = pattern(200_000);
    let address = uploaded(&server, "video/mp4", &bytes);
    let mut connection = HttpConnection::open(server.address());
    let mut ask = |headers: &str| {
        connection.request("GET", &address, headers);
        connection.response()
    };
    for (range, first, last) in [
        ("0-0", 0, 0),
        ("100-70000", 100, 70_000),
        ("199999-", 199_999, 199_999),
        ("-5", 199_995, 199_999),
        ("5-999999999999", 5, 199_999),
    ] {
        let part = ask(&format!("Range: bytes={range}\r\n"));
        assert_eq!(part.status, 206, "{range}");
        let expected = format!("bytes {first}-{last}/200000");
        assert_eq!(part.header("content-range"), Some(expected.as_str()));
        assert!(part.body == bytes[first..=last], "{range}");
    }
    let beyond = ask("Range: bytes=200000-\r\n");
    assert_problem(&beyond, 416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), Some("bytes */200000"));
    for whole in ["bytes=0-1,5-6", "bytes=x", "lines=1-2", "bytes=7-3"] {
        assert_eq!(ask(&format!("Range: {whole}\r\n")).status, 200, "{whole}");
    }
    let tag = ask("").header("etag").expect("a tag").to_owned();
    let same = ask(&format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n"));
    assert_eq!(same.status, 206);
    let other = ask("Range: bytes=0-1\r\nIf-Range: \"other\"\r\n");
    assert_eq!(other.status, 200);
}

#[test]
fn a_file_that_a_browser_has_is_not_sent_again() {
    let server = Server::start();
    let address = uploaded(&server, "image/png", b"png");
    let mut connection = HttpConnection::open(server.address());
    connection.request("GET", &address, "");
    let file = connection.response();
    let cached = file.header("cache-control").expect("Cache-Control");
    assert!(cached.contains("immutable"), "{cached}");
    let tag = file.header("etag").expect("a tag");
    connection.request("GET", &address, &format!("If-None-Match: {tag}\r\n"));
    let response = connection.response();
    assert_eq!(response.status, 304, "{response:?}");
    assert_eq!(response.header("etag"), Some(tag));
    connection.request("GET", &address, "If-None-Match: \"other\"\r\n");
    assert_eq!(connection.response().status, 200);
}

#[test]
fn what_could_run_in_a_browser_is_saved_and_never_shown() {
    let server = Server::start();
    let script = b"<script>alert(document.domain)</script>";
    for kind in [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/javascript",
        "text/xml",
        "nonsense",
        "image/png, text/html",
    ] {
        let address = uploaded(&server, kind, script);
        let file = get(server.address(), &address);
        assert_eq!(
            file.header("content-type"),
            Some("application/octet-stream"),
            "{kind}"
        );
        assert_eq!(
            file.header("content-disposition"),
            Some("attachment"),
            "{kind}"
        );
        assert_guarded(&file);
    }
    for (kind, disposition) in [
        ("image/png", "inline"),
        ("audio/mpeg", "inline"),
        ("text/plain; charset=utf-7", "attachment"),
        ("application/pdf", "attachment"),
    ] {
        let file = get(server.address(), &uploaded(&server, kind, script));
        assert_eq!(
            file.header("content-disposition"),
            Some(disposition),
            "{kind}"
        );
        assert_guarded(&file);
    }
}

/// Asserts the headers that keep a browser from running what somebody sent.
#[track_caller]
fn assert_guarded(file: &Response) {
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    let policy = file.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("sandbox"),
        "{policy}"
    );
}

#[test]
fn a_name_comes_back_and_cannot_break_out_of_its_header() {
    let server = Server::start();
    let name = "gr%C3%BC%C3%9Fe%22%3B%20filename%3Dx.exe.txt";
    let json = upload(&server, &format!("?name={name}"), "text/plain", b"x").json();
    assert_eq!(json["name"], "grüße\"; filename=x.exe.txt");
    let file = get(server.address(), json["url"].as_str().expect("an address"));
    assert_eq!(
        file.header("content-disposition"),
        Some(
            "attachment; filename=\"gr__e__ filename_x.exe.txt\"; \
             filename*=UTF-8''gr%C3%BC%C3%9Fe%22%3B%20filename%3Dx.exe.txt"
        )
    );
    for bad in ["%0d%0aX:%20y", "%00", &"x".repeat(256)] {
        let target = format!("/api/files?name={bad}");
        let response = send(server.address(), "POST", &target, "", b"x");
        assert_problem(&response, 400, "bad_name");
    }
}

#[test]
fn slow_downloads_cost_no_memory_and_no_descriptors() {
    let server = Server::start();
    let address = uploaded(&server, "video/mp4", &pattern(LIMIT));
    // The first download has shown what one costs.
    assert_eq!(get(server.address(), &address).body.len(), LIMIT);
    let before = server.usage();
    let mut slow: Vec<_> = (0..20)
        .map(|_| {
            let wire = tidewire_tests::wire::Wire::open_narrow(server.address());
            let mut connection = HttpConnection { wire };
            connection.request("GET", &address, "");
            connection
        })
        .collect();
    for connection in &mut slow {
        // The answer has begun, and nothing more is read.
        connection.wire.receive().expect("the first bytes");
    }
    // By the time that this one has all, a server that reads ahead would have read all for the others, too.
    assert_eq!(get(server.address(), &address).body.len(), LIMIT);
    let usage = server.usage();
    let grown = usage.resident_bytes.saturating_sub(before.resident_bytes);
    assert!(
        grown < 20 * 512 * 1024,
        "20 downloads that nobody reads take {grown} bytes"
    );
    // The connection of the other one may still be closing.
    wait_until("each holds its socket and no file", || {
        server.usage().descriptors <= before.descriptors + slow.len()
    });
    let mut last = slow.pop().expect("one of them");
    assert!(
        last.response().body == pattern(LIMIT),
        "it goes on where it waited"
    );
}

#[test]
fn a_disk_that_refuses_is_500_and_the_server_goes_on() {
    let directory = Directory::new();
    let broken = directory.path().join("nowhere");
    // A temporary directory that does not exist is a disk that refuses.
    let server = Launch::default().temporary_directory(&broken).start();
    let response = send(server.address(), "POST", "/api/files", "", b"x");
    assert_problem(&response, 500, "storage_failed");
    assert!(
        !response.text().contains("nowhere"),
        "no path is told: {response:?}"
    );
    std::fs::create_dir(&broken).expect("the directory");
    uploaded(&server, "text/plain", b"and now it is");
}
