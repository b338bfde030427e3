//! Does any caller get a token if callers give up before the source responds, and call again?

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::chart::Bar;
use crate::each_peer;
use crate::figure::time;
use crate::peers::Peer;
use crate::source::Source;
use crate::table::Table;

pub async fn ask() -> Table {
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    each_peer!(run(&mut rows, &mut bars, &mut verdicts));
    Table {
        name: "impatient",
        title: "Callers that give up and ask again".to_owned(),
        about: "There is no token, and the source takes 500 ms. A caller gives up after 100 ms and asks again at once, \
                for 5 s. If the fetch is part of the caller's future, it is cancelled with the caller. `middle` is \
                left out, because it fetches a token in its constructor.",
        columns: vec!["", "first token after", "calls to the source"],
        rows,
        measured: "calls to the source in 5 s, and when a caller got a token",
        bars,
        verdicts: std::mem::take(&mut verdicts),
    }
}

async fn run<P: Peer>(
    rows: &mut Vec<Vec<String>>,
    bars: &mut Vec<Bar>,
    verdicts: &mut Vec<String>,
) {
    if P::EAGER {
        return;
    }
    let source = Source::new(Duration::from_millis(500), Duration::from_secs(3600));
    let peer = Arc::new(P::start(Arc::clone(&source)).await.expect(P::NAME));
    let start = Instant::now();
    let mut first = None;
    while first.is_none() && start.elapsed() < Duration::from_secs(5) {
        if let Ok(Ok(_)) = timeout(Duration::from_millis(100), peer.header()).await {
            first = Some(start.elapsed());
        }
    }
    let when = first.map_or("never".to_owned(), |first| time(first.as_secs_f64()));
    rows.push(vec![
        P::NAME.to_owned(),
        when.clone(),
        source.calls().to_string(),
    ]);
    let ours = P::NAME.starts_with("keyfob");
    bars.push(
        Bar::new(P::NAME, source.calls() as f64, ours)
            .labelled(format!("{} ({when})", source.calls())),
    );
    if ours {
        let kept = if first.is_some() && source.calls() == 1 {
            "kept"
        } else {
            "**missed**"
        };
        verdicts.push(format!(
            "A token after {when} and {} call: {kept}.",
            source.calls()
        ));
    }
}
