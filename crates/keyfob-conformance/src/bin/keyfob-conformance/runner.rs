//! Runs each case over each interface, several at a time, and shows the grid.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use clap::Args;
use keyfob_conformance::case::{Body, Case};
use keyfob_conformance::corpus::{corpus, random};
use keyfob_conformance::exceptions;
use keyfob_conformance::faces::{FACES, Face};
use keyfob_conformance::grid::{self, Grid};
use keyfob_conformance::judge::{Differences, judge};
use keyfob_conformance::matches;
use keyfob_conformance::outcome::Job;

use crate::child::DriverProcess;
use crate::servers::CaseServers;
use crate::tls::Tls;

/// Which cases run over which interfaces.
#[derive(Args)]
pub(crate) struct Selection {
    /// Only this interface; may be given more than once
    #[arg(long)]
    face: Vec<String>,
    /// Only this group; may be given more than once
    #[arg(long)]
    group: Vec<String>,
    /// Only cases whose name fits this pattern, in which `*` is any text
    #[arg(long)]
    case: Option<String>,
    /// How many cases run at the same time
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// How many cases of random URLs and Locations run as well
    #[arg(long, default_value_t = 12)]
    random: usize,
    /// The seed of the random cases, to repeat them
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(selection: &Selection) -> Result<(), String> {
    let seed = selection.seed.unwrap_or_else(|| fastrand::u64(..));
    let cases: Vec<_> = corpus()
        .into_iter()
        .chain(random(seed, selection.random))
        .filter(|case| selection.includes(case))
        .collect();
    let faces: Vec<_> = FACES.iter().filter(|face| selection.has(face)).collect();
    if cases.is_empty() || faces.is_empty() {
        return Err("nothing has the name that was given".to_owned());
    }
    let tls = Tls::new()?;
    let grid = Mutex::new(Grid::default());
    let begun = Instant::now();
    for face in faces {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..selection.jobs {
                scope.spawn(|| {
                    let mut worker = Worker {
                        face,
                        tls: &tls,
                        driver: None,
                    };
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = worker.result(case);
                        let mut grid = grid.lock().expect("no worker panics with the grid");
                        grid.record(face.name, &case.group, &case.title(), result);
                    }
                });
            }
        });
    }
    let grid = grid.into_inner().expect("no worker panics with the grid");
    print!("{}", grid.show());
    println!("\n{} cases in {:.1?}", cases.len(), begun.elapsed());
    match grid.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} results are not as they must be")),
    }
}

impl Selection {
    fn includes(&self, case: &Case) -> bool {
        let named = self.case.as_ref();
        (self.group.is_empty() || self.group.contains(&case.group))
            && named.is_none_or(|pattern| matches(pattern, &case.name))
    }

    fn has(&self, face: &Face) -> bool {
        self.face.is_empty() || self.face.iter().any(|name| name == face.name)
    }
}

/// Runs cases one after the other, with a driver of its own.
struct Worker<'a> {
    face: &'static Face,
    tls: &'a Tls,
    driver: Option<DriverProcess>,
}

impl Worker<'_> {
    fn result(&mut self, case: &Case) -> grid::Result {
        let differences = self.differences(case).unwrap_or_else(|error| {
            // The next case gets another driver.
            self.driver = None;
            Differences::no_outcome(error)
        });
        exceptions::verdict(exceptions::find(self.face.name, case), &differences)
    }

    fn differences(&mut self, case: &Case) -> Result<Differences, String> {
        let servers = {
            let _runtime = self.tls.runtime().enter();
            CaseServers::start(case, self.tls)?
        };
        let case = case.resolved(&servers.origins());
        servers.script(&case);
        let files = tempfile::tempdir_in(self.tls.folder()).map_err(|error| error.to_string())?;
        let job = job(&case, files.path())?;
        let environment = environment(&case, files.path())?;
        let outcome = if environment.is_empty() {
            self.driver()?.run(&job)?
        } else {
            let certificate = self.tls.certificate();
            DriverProcess::start(self.face, &certificate, &environment)?.run(&job)?
        };
        Ok(judge(&case, &servers.received(), &outcome))
    }

    fn driver(&mut self) -> Result<&mut DriverProcess, String> {
        let driver = match self.driver.take() {
            Some(driver) => driver,
            None => DriverProcess::start(self.face, &self.tls.certificate(), &BTreeMap::new())?,
        };
        Ok(self.driver.insert(driver))
    }
}

/// The part of the case that the driver sees, with files in place.
fn job(case: &Case, folder: &std::path::Path) -> Result<Job, String> {
    let mut requests = case.requests.clone();
    for (number, request) in requests.iter_mut().enumerate() {
        if let Body::File { text, path, .. } = &mut request.body {
            let place = folder.join(format!("body-{number}"));
            std::fs::write(&place, text).map_err(|error| error.to_string())?;
            *path = place.display().to_string();
        }
    }
    Ok(Job {
        client: case.client.clone(),
        requests,
    })
}

/// The variables that the case needs on top of those of all drivers.
fn environment(case: &Case, folder: &std::path::Path) -> Result<BTreeMap<String, String>, String> {
    let mut environment = case.client.environment.clone();
    if let Some(netrc) = &case.client.netrc {
        let place = folder.join(".netrc");
        std::fs::write(&place, netrc).map_err(|error| error.to_string())?;
        environment.insert("NETRC".to_owned(), place.display().to_string());
        environment.insert("HOME".to_owned(), folder.display().to_string());
    }
    Ok(environment)
}
