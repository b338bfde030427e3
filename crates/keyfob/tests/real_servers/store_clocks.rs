//! Machines and a server whose clocks are wrong.
//!
//! The module of each kind of server includes this file, as `store_contract.rs`.

use std::time::SystemTime;

use keyfob::TokenCache;
use keyfob::source::Persisted;
use keyfob_testkit::{GatedSource, ManualClock};

use super::Server;
use super::contract::store;
use crate::fixtures::{Rotating, SECOND, key, token};

/// A machine whose clock shows this time.
fn machine(server: &Server, time: SystemTime) -> (GatedSource, TokenCache) {
    let gated = GatedSource::new();
    let source = Persisted::new(Rotating(gated.clone()), store(server), key());
    let cache = TokenCache::builder(source).clock(ManualClock::new(time));
    (gated, cache.build().unwrap())
}

/// The token that a machine gets if its source responds with token 1 or a later one.
async fn fetch((source, cache): &(GatedSource, TokenCache), number: u32) -> String {
    let response = async { source.next_call().await.respond(token(number)) };
    let (got, ()) = tokio::join!(cache.get_valid_token(), response);
    got.unwrap().expose().to_owned()
}

#[tokio::test]
async fn t6_clocks_that_differ_by_minutes_cause_no_exchange() {
    let server = Server::start();
    let wall = SystemTime::now();
    let minutes = SECOND * 60;
    fetch(&machine(&server, wall), 1).await;
    // The token lives for 100 s: one clock is far behind its start, and the other is far past its end.
    for clock in [
        wall + minutes * 7,
        wall - minutes * 7,
        wall + minutes * 61,
        wall - minutes * 61,
    ] {
        let (other, cache) = machine(&server, clock);
        assert_eq!(cache.get_valid_token().await.unwrap().expose(), "token-1");
        let left = cache.status().expires_in.unwrap();
        assert!(left > SECOND * 90 && left <= SECOND * 100, "{left:?}");
        assert_eq!(other.calls(), 0);
    }
}

#[tokio::test]
async fn t4_a_server_whose_clock_is_an_hour_off_serves_each_token_until_it_expires() {
    for (wall, which) in [
        (SystemTime::now() + SECOND * 3600, "behind"),
        (SystemTime::now() - SECOND * 3600, "ahead"),
    ] {
        let server = Server::start();
        fetch(&machine(&server, wall), 1).await;
        // 40 s pass, for the server as well: the token of 100 s is valid.
        server.move_save(&key(), -40).await;
        let (source, cache) = machine(&server, wall + SECOND * 40);
        assert_eq!(cache.get_valid_token().await.unwrap().expose(), "token-1");
        let left = cache.status().expires_in.unwrap();
        assert!(
            left > SECOND * 50 && left <= SECOND * 60,
            "{which}: {left:?}"
        );
        assert_eq!(source.calls(), 0, "{which}");
        // And another 70 s: it has expired, which costs one exchange for all machines.
        server.move_save(&key(), -70).await;
        let later = wall + SECOND * 110;
        let renewed = fetch(&machine(&server, later), 2).await;
        assert_eq!(renewed, "token-2", "{which}");
        let (source, cache) = machine(&server, later);
        assert_eq!(cache.get_valid_token().await.unwrap().expose(), "token-2");
        assert_eq!(source.calls(), 0, "{which}");
    }
}

#[tokio::test]
async fn t6_a_server_whose_clock_goes_back_by_an_hour_revives_no_token() {
    let server = Server::start();
    let wall = SystemTime::now();
    fetch(&machine(&server, wall), 1).await;
    server.move_save(&key(), 3600).await;
    // The server cannot tell the age, so the clocks of the machines do.
    let (_, cache) = machine(&server, wall + SECOND * 50);
    cache.get_valid_token().await.unwrap();
    let left = cache.status().expires_in.unwrap();
    assert!(left <= SECOND * 50, "{left:?}");
    assert_eq!(
        fetch(&machine(&server, wall + SECOND * 200), 2).await,
        "token-2"
    );
}

#[tokio::test]
async fn t9_a_server_whose_clock_goes_ahead_by_an_hour_loses_no_refresh_token() {
    let server = Server::start();
    let wall = SystemTime::now();
    fetch(&machine(&server, wall), 1).await;
    server.move_save(&key(), -3600).await;
    // The token seems to have expired, which costs one exchange.
    let (source, cache) = machine(&server, wall);
    let response = async {
        let call = source.next_call().await;
        let previous = call.request().previous().unwrap();
        assert_eq!(previous.refresh_token(), Some("refresh-1"));
        call.respond(token(2));
    };
    let (got, ()) = tokio::join!(cache.get_valid_token(), response);
    assert_eq!(got.unwrap().expose(), "token-2");
    let (source, cache) = machine(&server, wall);
    assert_eq!(cache.get_valid_token().await.unwrap().expose(), "token-2");
    assert_eq!(source.calls(), 0);
}
