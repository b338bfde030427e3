//! Which library stalls while the token is valid but due, and its source fails?

use std::sync::Arc;
use std::time::Duration;

use crate::chart::Bar;
use crate::each_peer;
use crate::figure::time;
use crate::measure::percentile;
use crate::peers::Peer;
use crate::questions::boundary::Load;
use crate::source::Source;
use crate::table::{Table, verdict};

pub async fn ask() -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    each_peer!(run(&mut rows, &mut bars, &mut verdicts));
    Table {
        name: "outage",
        title: "An outage while the token is valid".to_owned(),
        about: "The token is valid for the whole time, but by its own rules each library tries to renew it. The \
                lifetime (*lives*) and the age at the start (*old*) are chosen for that. The source refuses after 100 \
                ms. 200 reads a second for 3 s; reads without a result 20 s later count as 20 s. Two libraries have \
                two rows, because they have two stages. keyfob serves a due token to all readers. In its leeway, the \
                last tenth of its lifetime, readers wait for a renewal, and get the token if the renewal fails. \
                huskarl, from a random point shortly before its margin, lets one reader at a time wait and serves the \
                others. In its margin, the last 30 s or half of a short lifetime, it does not serve the token. \
                google-cloud-auth and middle renew in a background task, 240 s and 30 s before the expiry. \
                google-cloud-auth takes this refusal as final, and its task ends with the token. If a library made no \
                call, it did not need a new token in that time, and its row proves nothing.",
        columns: vec!["", "lives", "old", "p50", "p99.9", "max", "errors", "calls"],
        rows,
        measured: "99.9th percentile of the time of a read",
        bars,
        verdicts,
    }
}

async fn run<P: Peer>(
    rows: &mut Vec<Vec<String>>,
    bars: &mut Vec<Bar>,
    verdicts: &mut Vec<String>,
) {
    for due in P::DUE {
        let source = Source::new(Duration::from_millis(100), due.lives);
        let peer = Arc::new(P::start(Arc::clone(&source)).await.expect(P::NAME));
        peer.header().await.expect(P::NAME);
        tokio::time::sleep(due.aged).await;
        source.fail();
        let before = source.calls();
        let Load {
            mut reads, errors, ..
        } = Load::of(peer, 200, Duration::from_secs(3)).await;
        let at = |reads: &mut Vec<Duration>, share| time(percentile(reads, share).as_secs_f64());
        let worst = percentile(&mut reads, 0.999).as_secs_f64();
        let name = format!("{}{}", P::NAME, due.rule);
        rows.push(vec![
            name.clone(),
            format!("{} s", due.lives.as_secs_f64()),
            format!("{} s", due.aged.as_secs_f64()),
            at(&mut reads, 0.5),
            time(worst),
            at(&mut reads, 1.0),
            errors.to_string(),
            (source.calls() - before).to_string(),
        ]);
        let ours = P::NAME.starts_with("keyfob");
        bars.push(Bar::new(name, worst * 1e6, ours).labelled(time(worst)));
        if ours && due.rule.is_empty() {
            verdicts.push(verdict(
                "p99.9 of a token that is due",
                worst * 1e6,
                100.0,
                " µs",
            ));
        }
    }
}
