//! The chat page while things fail behind it: two people at two nodes behind nginx, one node that is killed, and a Redis that is
//! held still, killed, and comes back. And what the operator's page says then.

use tidewire_tests::browser::{people, people_at};
use tidewire_tests::nginx::Nginx;
use tidewire_tests::{Nodes, Redis, Server};

#[test]
fn two_people_at_two_nodes_go_on_through_what_fails() {
    let mut redis = Redis::start();
    let options = ["--trusted-proxy", "127.0.0.1", "--log-timeout", "500ms"];
    let mut nodes = Nodes::on(&redis.url(), 2, &options);
    nodes.all().for_each(Server::wait_until_ready);
    let [one, other] = nodes.addresses()[..] else {
        panic!("there are two nodes");
    };
    let nginx = Nginx::before_nodes([one, other], &[]);
    let page = format!("https://{}/", nginx.address());
    let mut script = people_at("page/nodes.mjs", &page);
    for _ in 0..2 {
        script.expect_line("hold Redis still");
        redis.pause();
        script.say("held");
        script.expect_line("let Redis go on");
        redis.resume();
        script.say("goes on");
    }
    script.expect_line("kill Redis");
    redis.kill();
    script.say("killed");
    script.expect_line("start Redis");
    redis.come_back();
    script.say("is back");
    script.expect_line("kill a node");
    assert!(
        nodes.all().all(|node| node.health().connections > 0),
        "nginx has given people to both"
    );
    nodes.kill(0);
    script.say("killed");
    script.expect_line("start the node");
    nodes.come_back(0);
    script.say("is back");
    script.finish();
}

#[test]
fn an_operator_sees_that_redis_is_away_and_that_it_is_back() {
    let mut redis = Redis::start();
    let options = ["--log-timeout", "500ms", "--canary", "500ms"];
    let nodes = Nodes::on(&redis.url(), 1, &options);
    let mut script = people("page/admin_unready.mjs", nodes.node(0));
    script.expect_line("hold Redis still");
    redis.pause();
    script.say("held");
    script.expect_line("let Redis go on");
    redis.resume();
    script.say("goes on");
    script.finish();
}
