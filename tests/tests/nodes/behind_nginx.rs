//! Two nodes that share a log behind nginx, as `deploy/cluster/nginx.conf` has it: nobody has to come back to the node where it
//! was, and who was on one that is killed goes on at the other, by every transport.

use tidewire_tests::browser::people_at;
use tidewire_tests::nginx::Nginx;
use tidewire_tests::script::Script;
use tidewire_tests::{Nodes, Redis, wait_until};

fn nodes(redis: &Redis) -> Nodes {
    Nodes::on(&redis.url(), 2, &["--trusted-proxy", "127.0.0.1"])
}

fn before(nodes: &Nodes) -> Nginx {
    let [one, other] = nodes.addresses()[..] else {
        panic!("there are two nodes");
    };
    Nginx::before_nodes([one, other], &[])
}

#[test]
fn people_on_two_nodes_chat_on_the_page() {
    let redis = Redis::start();
    let nodes = nodes(&redis);
    let nginx = before(&nodes);
    let page = format!("https://{}/", nginx.address());
    people_at("page/behind_nginx.mjs", &page).finish();
}

#[test]
fn who_follows_by_any_transport_goes_on_at_the_other_node() {
    let redis = Redis::start();
    let mut nodes = nodes(&redis);
    let nginx = before(&nodes);
    let mut script = followers(&nginx);
    script.expect_line("there");
    for node in nodes.all() {
        wait_until("nginx has given it clients", || {
            node.health().connections > 3
        });
    }
    script.expect_line("now");
    nodes.kill(0);
    script.say("killed");
    script.finish();
}

#[test]
fn who_was_on_a_node_that_drains_goes_on_at_the_other() {
    let redis = Redis::start();
    let mut nodes = nodes(&redis);
    let nginx = before(&nodes);
    let mut script = followers(&nginx);
    script.expect_line("now");
    nodes.drain(1);
    nodes.come_back(1);
    script.say("drained");
    script.finish();
}

#[test]
fn files_and_the_relay_are_at_one_node_for_everybody() {
    let redis = Redis::start();
    let nodes = nodes(&redis);
    script(&before(&nodes), "at_one_node").finish();
}

/// Followers by all transports, and one who posts; says `now` in the midst of that, and goes on when it is told something.
fn followers(nginx: &Nginx) -> Script {
    script(nginx, "nodes")
}

fn script(nginx: &Nginx, scenario: &str) -> Script {
    let certificate = nginx.certificate();
    let certificate = certificate.to_str().expect("a path in UTF-8");
    let (address, plain) = (nginx.address(), nginx.plain_address());
    let arguments = [
        scenario,
        &address.to_string(),
        &plain.to_string(),
        certificate,
    ];
    Script::node("behind_nginx.mjs", &arguments)
}
