//! Three nodes on a Redis that is killed, forgets, stands still, is cut off, is slow and says no, and nodes that are killed and
//! drained, under the load of `tidewire verify` and of clients by HTTP: what was acknowledged is there, once and in order, or a
//! gap says that it is not. Here in short; `cargo xtask chaos redis` does it many times.

mod campaign;
mod table;

use std::thread::sleep;
use std::time::Duration;

use campaign::{Between, Campaign, NODES};
use tidewire_tests::wait::number_from;
use tidewire_tests::{Redis, RedisLaunch};

#[test]
fn nothing_is_lost_by_a_redis_that_comes_back_whole() {
    let campaign = Campaign::start(
        "Redis killed, whole",
        Redis::start(),
        Between::Nothing,
        false,
    );
    let count = campaign.count();
    let campaign = campaign.rounds(count, |campaign, _| {
        campaign.redis.kill();
        sleep(Duration::from_millis(campaign.dice.below(2500) as u64));
        campaign.redis.come_back();
        campaign.goes_on();
    });
    campaign.finish();
}

#[test]
fn what_an_empty_redis_has_lost_is_told() {
    let campaign = Campaign::start(
        "Redis killed, empty",
        Redis::start(),
        Between::Nothing,
        true,
    );
    let count = campaign.count();
    let campaign = campaign.rounds(count, |campaign, _| {
        campaign.redis.kill_and_empty();
        sleep(Duration::from_millis(campaign.dice.below(1000) as u64));
        campaign.redis.come_back();
        campaign.goes_on();
    });
    campaign.finish();
}

#[test]
fn what_a_redis_with_an_old_snapshot_has_lost_is_told() {
    let redis = RedisLaunch::default().forgetful().start();
    let campaign = Campaign::start("Redis killed, old", redis, Between::Nothing, true);
    let count = campaign.count();
    let campaign = campaign.rounds(count, |campaign, _| {
        campaign.redis.snapshot();
        sleep(Duration::from_millis(
            campaign.dice.between(300, 1500) as u64
        ));
        campaign.redis.kill_and_restore();
        campaign.redis.come_back();
        campaign.goes_on();
    });
    campaign.finish();
}

#[test]
fn nothing_is_lost_by_a_redis_that_is_held_still() {
    let seconds = number_from("TIDEWIRE_STOPPED_SECONDS", 7) as u64;
    let campaign = Campaign::start("Redis held still", Redis::start(), Between::Nothing, false);
    let count = campaign.count().div_ceil(2);
    let campaign = campaign.rounds(count, |campaign, _| {
        campaign.redis.pause();
        sleep(Duration::from_secs(seconds));
        campaign.redis.resume();
        campaign.goes_on();
    });
    campaign.finish();
}

#[test]
fn clients_of_a_node_that_is_killed_go_on_elsewhere() {
    let campaign = Campaign::start("node killed", Redis::start(), Between::Nothing, false);
    let count = 2 * campaign.count();
    let campaign = campaign.rounds(count, |campaign, round| {
        campaign.nodes.kill(round % NODES);
        campaign.goes_on();
        campaign.nodes.come_back(round % NODES);
    });
    campaign.finish();
}

#[test]
fn a_rolling_restart_of_all_nodes_loses_nothing() {
    let campaign = Campaign::start("rolling restart", Redis::start(), Between::Nothing, false);
    let count = campaign.count();
    let campaign = campaign.rounds(count, |campaign, _| {
        for node in 0..NODES {
            campaign.nodes.drain(node);
            campaign.nodes.come_back(node);
        }
        campaign.goes_on();
    });
    campaign.finish();
}

#[test]
fn nodes_that_are_cut_off_from_redis_lose_nothing() {
    let campaign = Campaign::start("partition", Redis::start(), Between::Proxies, false);
    let count = campaign.count();
    let campaign = campaign.rounds(count, |campaign, round| {
        // One of them, or all.
        let away: Vec<_> = (0..NODES)
            .filter(|node| round % 4 == 3 || round % NODES == *node)
            .collect();
        let set = |campaign: &Campaign, is_partitioned| {
            for node in &away {
                campaign.proxies[*node].set(|faults| faults.is_partitioned = is_partitioned);
            }
        };
        set(campaign, true);
        sleep(Duration::from_millis(
            campaign.dice.between(500, 9000) as u64
        ));
        set(campaign, false);
        campaign.goes_on();
    });
    campaign.finish();
}

#[test]
fn a_slow_redis_loses_nothing() {
    let campaign = Campaign::start(
        "Redis slow by 500 ms",
        Redis::start(),
        Between::Proxies,
        false,
    );
    let count = campaign.count();
    let campaign = campaign.rounds(count, |campaign, _| {
        for proxy in &campaign.proxies {
            proxy.set(|faults| faults.delay = Duration::from_millis(500));
        }
        sleep(Duration::from_secs(2));
        // As it is.
        campaign.goes_on();
        campaign.proxies.iter().for_each(|proxy| proxy.heal());
    });
    campaign.finish();
}

#[test]
fn a_redis_that_says_no_loses_nothing() {
    let refusals = [
        "LOADING Redis is loading the dataset in memory",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MOVED 3999 127.0.0.1:1",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "BUSY Redis is busy running a script.",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "NOSCRIPT No matching script. Please use EVAL.",
    ];
    let campaign = Campaign::start("Redis refuses", Redis::start(), Between::Proxies, false);
    let count = campaign.count().max(refusals.len());
    let campaign = campaign.rounds(count, |campaign, round| {
        let refuse_one_in = campaign.dice.pick(&[1, 2, 5]);
        for proxy in &campaign.proxies {
            proxy.set(|faults| {
                faults.refusal = Some(refusals[round % refusals.len()].to_owned());
                faults.refuse_one_in = refuse_one_in;
            });
        }
        sleep(Duration::from_secs(1));
        campaign.proxies.iter().for_each(|proxy| proxy.heal());
        campaign.goes_on();
    });
    let refused = campaign.proxies.iter().map(|proxy| &proxy.done().refused);
    let refused: u64 = refused
        .map(|count| count.load(std::sync::atomic::Ordering::Relaxed))
        .sum();
    assert!(refused > 0, "somebody was refused");
    campaign.finish();
}

#[test]
fn announcements_that_are_lost_and_answers_that_are_cut_lose_nothing() {
    let campaign = Campaign::start(
        "announcements lost",
        Redis::start(),
        Between::Proxies,
        false,
    );
    let count = campaign.count();
    let campaign = campaign.rounds(count, |campaign, _| {
        for proxy in &campaign.proxies {
            proxy.set(|faults| (faults.lose_one_in, faults.cut_one_in) = (100, 400));
        }
        sleep(Duration::from_secs(3));
        for proxy in &campaign.proxies {
            proxy.set(|faults| faults.cut_one_in = 0);
        }
        // Announcements are lost as before.
        campaign.goes_on();
    });
    let done = campaign.proxies.iter().map(|proxy| proxy.done());
    let lost: u64 = done
        .map(|done| done.lost.load(std::sync::atomic::Ordering::Relaxed))
        .sum();
    assert!(lost > 0, "some were lost");
    campaign.finish();
}
