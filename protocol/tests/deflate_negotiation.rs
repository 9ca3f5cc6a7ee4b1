//! Offers of permessage-deflate and answers to them (RFC 7692 §5, §7.1), by the letter.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a panic is how a test fails"
)]

use tidewire_protocol::handshake::header::extensions;
use tidewire_protocol::{DeflateAgreement, DeflateConfig};

/// What a server answers.
fn answer(config: &DeflateConfig, offers: &str) -> Option<String> {
    config
        .accept(&extensions(offers).unwrap())
        .map(|(_, answer)| answer)
}

fn agreed(config: &DeflateConfig, offers: &str) -> DeflateAgreement {
    config.accept(&extensions(offers).unwrap()).unwrap().0
}

/// What a client makes of an answer: the agreement, nothing, or a failure.
fn checked(config: &DeflateConfig, answers: &str) -> Result<Option<DeflateAgreement>, ()> {
    config
        .check_response(&extensions(answers).unwrap())
        .map_err(|_| ())
}

fn with_takeover() -> DeflateConfig {
    DeflateConfig {
        server_context_takeover: true,
        client_context_takeover: true,
        ..DeflateConfig::default()
    }
}

/// [7692-5-3, 7692-5-5, 7692-5-7, 7692-7.1.1.1-1, 6455-4.2.2-8, 6455-4.2.2-9, 6455-9-1]
#[test]
fn each_offer_gets_the_answer_that_fits_it() {
    for (offer, expected) in [
        ("permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate",
        ),
        (
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate",
        ),
        (
            "permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9",
        ),
        (
            "permessage-deflate; server_max_window_bits=\"10\"",
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        (
            "permessage-deflate; client_max_window_bits=10",
            "permessage-deflate; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate",
        ),
        ("other, permessage-deflate", "permessage-deflate"),
    ] {
        assert_eq!(
            answer(&with_takeover(), offer).as_deref(),
            Some(expected),
            "{offer}"
        );
    }
}

#[test]
fn by_default_no_side_keeps_its_window() {
    let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let config = DeflateConfig::default();
    assert_eq!(
        answer(&config, "permessage-deflate; client_max_window_bits").as_deref(),
        Some(expected)
    );
    let agreement = agreed(&config, "permessage-deflate");
    assert!(agreement.server_no_context_takeover && agreement.client_no_context_takeover);
}

/// [7692-7.3-1]
#[test]
fn by_default_windows_are_as_large_as_they_can_be() {
    let config = DeflateConfig::default();
    let agreement = agreed(&config, &config.offer());
    assert_eq!(agreement.server_max_window_bits, 15);
    assert_eq!(agreement.client_max_window_bits, 15);
    assert!(!config.offer().contains("server_max_window_bits"));
}

/// [7692-5-9]
#[test]
fn what_is_declined_is_not_named() {
    for offers in ["", "other", "permessage-deflate; unknown"] {
        let offers = extensions(offers).unwrap_or_default();
        assert_eq!(DeflateConfig::default().accept(&offers), None);
    }
}

/// [7692-7.1.2.2-3]
#[test]
fn smaller_windows_of_ours_are_used_and_asked_for() {
    let config = DeflateConfig {
        server_window_bits: 12,
        client_window_bits: 11,
        ..with_takeover()
    };
    let offer = "permessage-deflate; server_max_window_bits=14; client_max_window_bits";
    let expected = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=11";
    assert_eq!(answer(&config, offer).as_deref(), Some(expected));
    assert_eq!(
        agreed(&config, "permessage-deflate").server_max_window_bits,
        12,
        "also without being asked"
    );
    // Who did not offer it does not understand it (§7.1.2.2).
    assert_eq!(
        answer(&config, "permessage-deflate").as_deref(),
        Some("permessage-deflate")
    );
}

/// [7692-5-4]
#[test]
fn the_first_offer_that_can_be_kept_is_taken() {
    let config = with_takeover();
    for (offers, expected) in [
        (
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, \
             permessage-deflate; server_no_context_takeover, permessage-deflate",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
        ),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            "permessage-deflate",
        ),
        (
            "permessage-deflate; unknown, permessage-deflate; client_no_context_takeover",
            "permessage-deflate",
        ),
    ] {
        assert_eq!(
            answer(&config, offers).as_deref(),
            Some(expected),
            "{offers}"
        );
    }
}

/// [7692-5-4, 7692-7-1, 7692-7.1.2.1-1, 7692-7.1.2.2-1]
#[test]
fn an_illegal_parameter_declines_its_offer() {
    for parameters in ILLEGAL {
        let offer = format!("permessage-deflate; {parameters}");
        assert_eq!(answer(&with_takeover(), &offer), None, "{offer}");
    }
    assert_eq!(
        answer(
            &with_takeover(),
            "permessage-deflate; server_max_window_bits=8"
        ),
        None,
        "beyond the backend"
    );
    assert_eq!(answer(&with_takeover(), "x-webkit-deflate-frame"), None);
}

/// Unknown, doubled, with a value where none belongs, without one where one does, out of range, or badly written.
const ILLEGAL: &[&str] = &[
    "unknown",
    "constructor=1",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits=10; client_max_window_bits=10",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=08",
    "server_max_window_bits=+9",
    "server_max_window_bits=1e1",
    "server_max_window_bits=999999999999",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=010",
    "client_max_window_bits=x",
    "Server_No_Context_Takeover",
];

/// [6455-9-2, 6455-9.1-3, 6455-9.1-4, 7692-5-2]
#[test]
fn a_client_offers_what_it_is_ready_for() {
    assert_eq!(
        with_takeover().offer(),
        "permessage-deflate; client_max_window_bits"
    );
    let config = DeflateConfig {
        server_window_bits: 10,
        client_window_bits: 11,
        ..DeflateConfig::default()
    };
    assert_eq!(
        config.offer(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
         client_max_window_bits=11"
    );
}

/// [7692-7.1.1.2-1]
#[test]
fn a_client_takes_the_answers_that_fit_its_offer() {
    let plain = DeflateAgreement {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let config = with_takeover();
    assert_eq!(checked(&config, "permessage-deflate"), Ok(Some(plain)));
    assert_eq!(
        checked(
            &config,
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8"
        ),
        Ok(Some(DeflateAgreement {
            server_max_window_bits: 8,
            client_max_window_bits: 8,
            ..plain
        }))
    );
    assert_eq!(
        checked(
            &config,
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
        ),
        Ok(Some(DeflateAgreement {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            ..plain
        }))
    );
    assert_eq!(config.check_response(&[]), Ok(None), "declined");
}

/// [7692-5-6, 7692-5-8, 7692-5-10, 7692-7-2, 7692-7.1.2.1-2, 7692-7.1.2.2-2]
#[test]
fn a_client_keeps_less_of_its_own_window_than_the_server_allows() {
    let narrow = DeflateConfig {
        server_context_takeover: true,
        client_context_takeover: false,
        client_window_bits: 10,
        ..DeflateConfig::default()
    };
    for (answer, client_window) in [
        ("permessage-deflate", 10),
        ("permessage-deflate; client_max_window_bits=12", 10),
        ("permessage-deflate; client_max_window_bits=9", 9),
    ] {
        let agreement = checked(&narrow, answer).unwrap().unwrap();
        assert_eq!(agreement.client_max_window_bits, client_window, "{answer}");
        assert!(agreement.client_no_context_takeover, "{answer}");
        assert!(!agreement.server_no_context_takeover, "{answer}");
        assert_eq!(agreement.server_max_window_bits, 15, "{answer}");
    }
}

#[test]
fn a_client_refuses_the_answers_that_do_not() {
    for parameters in ILLEGAL {
        let answer = format!("permessage-deflate; {parameters}");
        assert_eq!(checked(&with_takeover(), &answer), Err(()), "{answer}");
    }
    for answer in [
        "other",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, other",
        "permessage-deflate; client_max_window_bits",
    ] {
        assert_eq!(checked(&with_takeover(), answer), Err(()), "{answer}");
    }
    let strict = DeflateConfig {
        server_window_bits: 10,
        ..DeflateConfig::default()
    };
    for answer in [
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=10",
    ] {
        assert_eq!(checked(&strict, answer), Err(()), "{answer}");
    }
}

#[test]
fn what_a_client_offers_a_server_accepts_and_the_client_takes() {
    for bits in 9..=15 {
        for takeover in [false, true] {
            let config = DeflateConfig {
                server_context_takeover: takeover,
                client_context_takeover: takeover,
                server_window_bits: bits,
                client_window_bits: 24 - bits,
                ..DeflateConfig::default()
            };
            let offer = config.offer();
            let (agreement, answer) = DeflateConfig::default()
                .accept(&extensions(&offer).unwrap())
                .unwrap();
            let taken = checked(&config, &answer).unwrap().unwrap();
            assert_eq!(
                taken.server_max_window_bits, agreement.server_max_window_bits,
                "{offer} -> {answer}"
            );
            assert_eq!(
                taken.server_no_context_takeover,
                agreement.server_no_context_takeover
            );
        }
    }
}
