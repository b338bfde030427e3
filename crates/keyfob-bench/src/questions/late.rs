//! What do many late 401s cost, for one token that was revoked while requests were in flight?

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::chart::Bar;
use crate::figure::time;
use crate::peers::RejectionAware;
use crate::peers::azure::Azure;
use crate::peers::huskarl::Huskarl;
use crate::peers::keyfob::Keyfob;
use crate::questions::herd::{PATIENCE, all_that_end};
use crate::service::Service;
use crate::source::Source;
use crate::table::{Table, verdict};

pub async fn ask() -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for spread in [Duration::ZERO, SPREAD] {
        run::<Keyfob>(spread, &mut rows, &mut bars, &mut verdicts).await;
        run::<Azure>(spread, &mut rows, &mut bars, &mut verdicts).await;
        run::<Huskarl>(spread, &mut rows, &mut bars, &mut verdicts).await;
    }
    Table {
        name: "late-401s",
        title: "A thousand late 401s for one revoked token".to_owned(),
        about: "A thousand requests are in progress when their token is revoked. Their 401s arrive at once, or one \
                after another within 200 ms. A renewal takes 50 ms, and its token is valid. Each request is sent once \
                more. Stopped after 10 s. All requests go to the same service, within the process: keyfob uses its \
                tower layer, azure_core its policy for bearer tokens with a handler that authorizes again, huskarl the \
                loop from its guide. Those two drop their current token at each 401, even if it is newer than the \
                rejected one. The other libraries are left out, because a program cannot report a rejected token to \
                them: google-cloud-auth, gcp_auth, middle and the identity cache of aws-smithy-runtime have no call \
                for it, and the cache of object_store is private. They do not drop a token after a 401 by themselves \
                either. A program can only create them again.",
        columns: vec!["", "401s come", "renewals", "requests that succeed", "time"],
        rows,
        measured: "renewals, where the 401s come over 200 ms",
        bars,
        verdicts,
    }
}

async fn run<P: RejectionAware>(
    spread: Duration,
    rows: &mut Vec<Vec<String>>,
    bars: &mut Vec<Bar>,
    verdicts: &mut Vec<String>,
) {
    let source = Source::new(Duration::from_millis(50), Duration::from_secs(3600));
    let peer = Arc::new(P::start(Arc::clone(&source)).await.expect(P::NAME));
    let revoked = peer.header().await.expect(P::NAME);
    let service = Arc::new(Service::refusing(revoked, REQUESTS, spread));
    let client = peer.client(service).expect(P::NAME);
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..REQUESTS {
        tasks.spawn(client());
    }
    let succeeded = all_that_end(tasks, start + PATIENCE).await;
    let took = start.elapsed().as_secs_f64();
    let succeeded = succeeded.into_iter().filter(|success| *success).count();
    let renewals = source.calls() - 1;
    let come = match spread {
        Duration::ZERO => "at once".to_owned(),
        spread => format!("over {}", time(spread.as_secs_f64())),
    };
    rows.push(vec![
        P::NAME.to_owned(),
        come.clone(),
        renewals.to_string(),
        succeeded.to_string(),
        time(took),
    ]);
    let ours = P::NAME.starts_with("keyfob");
    if spread == SPREAD {
        bars.push(
            Bar::new(P::NAME, renewals as f64, ours)
                .labelled(format!("{renewals} ({succeeded} succeed)")),
        );
    }
    if ours {
        verdicts.push(verdict(
            &format!("renewals, 401s {come}"),
            renewals as f64,
            1.0,
            "",
        ));
    }
}

const REQUESTS: u32 = 1_000;
const SPREAD: Duration = Duration::from_millis(200);
