//! What does a token for each of many users cost: a hit, the memory of a user, a cold start, and users whose issuer refuses?

use std::env;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfob::{FixedToken, Token, TokenCache};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::chart::Bar;
use crate::each_contender;
use crate::figure::{figure, time};
use crate::many_users::{Issuer, Keyfob, LimitedMoka, Moka, Users};
use crate::measure::median;
use crate::questions::herd::all_that_end;
use crate::source::text;
use crate::table::{Table, verdict};

pub fn ask(runtime: &Runtime, answer: &mut impl FnMut(Table)) {
    answer(runtime.block_on(ask_hits()));
    answer(ask_memory());
    answer(runtime.block_on(ask_herd()));
    answer(runtime.block_on(ask_failing()));
}

async fn ask_hits() -> Table {
    let token = Token::new(text(0)).expect("a token");
    let single = TokenCache::new(FixedToken::new(token.expires_in(Duration::from_secs(3600))));
    single.lease(None).await.expect("a token");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = thread_time();
        for _ in 0..READS {
            drop(std::hint::black_box(single.lease(None).await));
        }
        times.push((thread_time() - start) / READS as f64);
    }
    let floor = median(&mut times);
    let (mut rows, mut bars, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    rows.push(vec![
        "keyfob, a single cache".to_owned(),
        "1".to_owned(),
        "1.00".to_owned(),
        time(floor),
        "1.00".to_owned(),
        time(floor),
    ]);
    each_contender!(hits(floor, &mut rows, &mut bars, &mut verdicts));
    let (near, far) = read_of_memory();
    rows.push(vec![
        "one read from memory, without a library".to_owned(),
        Keyfob::USERS.to_string(),
        figure(near / floor),
        time(near),
        figure(far / floor),
        time(far),
    ]);
    Table {
        name: "pool-hit",
        title: "Many users: a token that is there".to_owned(),
        about: "The CPU time until a caller has the token of its user. *One user* is the same user each time; *any* is one of \
                all, in an order that no processor predicts. The memory of 100,000 users is in no cache of the processor, and \
                that of 1,000 is. The last row is a pointer that is followed in as much memory as the pool has: no map can \
                find any of its users in less. Ratios are to a read of a single cache of keyfob.",
        columns: vec!["", "users", "one user", "time", "any user", "time"],
        rows,
        measured: "CPU time of a read of the same user, ratio to a single cache",
        bars,
        verdicts,
    }
}

async fn hits<U: Users>(
    floor: f64,
    rows: &mut Vec<Vec<String>>,
    bars: &mut Vec<Bar>,
    verdicts: &mut Vec<String>,
) {
    let users = Arc::new(filled::<U>().await);
    let (mut one, mut any) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(reads(&*users, |_| 7).await);
        any.push(reads(&*users, |read| read.wrapping_mul(7919) % U::USERS).await);
    }
    let (one, any) = (median(&mut one), median(&mut any));
    rows.push(vec![
        U::NAME.to_owned(),
        U::USERS.to_string(),
        figure(one / floor),
        time(one),
        figure(any / floor),
        time(any),
    ]);
    let ours = U::NAME.starts_with("keyfob");
    bars.push(Bar::new(U::NAME, one / floor, ours));
    if ours {
        for (what, took) in [("a hit of one user", one), ("a hit of any user", any)] {
            let ratio = took / floor;
            verdicts.push(verdict(what, ratio, 2.0, " of a single cache's"));
            verdicts.push(verdict(what, took * 1e9, 200.0, " ns"));
        }
    }
}

/// The CPU seconds to follow a pointer in as much memory as the pool has: to the same place each time, and to any place.
fn read_of_memory() -> (f64, f64) {
    /// As much as the processor reads at once.
    #[repr(align(64))]
    struct Line {
        next: usize,
    }

    let lines = Keyfob::USERS * BYTES_OF_A_USER / size_of::<Line>();
    let mut order: Vec<usize> = (0..lines).collect();
    // A single circle through all lines (Sattolo), so that the order repeats only after the last one.
    for last in (1..lines).rev() {
        order.swap(last, fastrand::usize(..last));
    }
    let memory: Vec<Line> = order.into_iter().map(|next| Line { next }).collect();
    let same = [Line { next: 0 }];
    let follow = |memory: &[Line]| {
        let (start, mut place) = (thread_time(), 0);
        for _ in 0..READS {
            place = std::hint::black_box(memory[place].next);
        }
        (thread_time() - start) / READS as f64
    };
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        near.push(follow(&same));
        far.push(follow(&memory));
    }
    (median(&mut near), median(&mut far))
}

/// The CPU seconds of a read.
async fn reads<U: Users>(users: &U, user: impl Fn(usize) -> usize) -> f64 {
    let start = thread_time();
    for read in 0..READS {
        drop(std::hint::black_box(users.header(user(read)).await));
    }
    (thread_time() - start) / READS as f64
}

/// The time of this thread alone, because a busy machine interrupts a long round.
fn thread_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// With a token for each user.
async fn filled<U: Users>() -> U {
    let issuer = Issuer::new(Duration::ZERO, usize::MAX >> 4, 0);
    let users = U::start(U::USERS, issuer).await;
    for user in 0..U::USERS {
        users.header(user).await.expect(U::NAME);
    }
    users
}

fn ask_memory() -> Table {
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    let program = env::current_exe().expect("this program");
    for (name, users) in MEASURED {
        let run = Command::new(&program).args([MEMORY, name]).output();
        let text = run.expect("this program starts").stdout;
        let bytes: f64 = String::from_utf8_lossy(&text)
            .trim()
            .parse()
            .expect("a number");
        rows.push(vec![name.to_owned(), users.to_string(), figure(bytes)]);
        if name == Keyfob::NAME {
            verdicts.push(verdict("bytes of a user", bytes, 1024.0, ""));
        }
    }
    Table {
        name: "pool-memory",
        title: "Many users: memory".to_owned(),
        about: "The memory of the process for each user, without the 454 bytes of the token itself, measured in a process of its \
                own. It includes the source of the user's token: a hook for keyfob and `moka`, an HTTP client or a grant for the \
                other libraries.",
        columns: vec!["", "users", "bytes for each user"],
        rows,
        measured: "",
        bars: Vec::new(),
        verdicts,
    }
}

/// Prints what each user costs in this process.
pub fn print_memory(runtime: &Runtime, name: &str) {
    runtime.block_on(async { each_contender!(memory(name)) });
}

async fn memory<U: Users>(name: &str) {
    if name != U::NAME {
        return;
    }
    // What the first users bring with them is not theirs.
    let issuer = || Issuer::new(Duration::ZERO, usize::MAX >> 4, 0);
    let few = U::start(10, issuer()).await;
    for user in 0..10 {
        few.header(user).await.expect(U::NAME);
    }
    let before = resident_memory();
    let users = filled::<U>().await;
    let names = U::USERS * size_of::<String>();
    let grown = resident_memory().saturating_sub(before + names);
    println!("{}", grown as f64 / U::USERS as f64 - text(0).len() as f64);
    drop((few, users));
}

fn resident_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse::<usize>().ok())
        .expect("a number")
        * 1024
}

async fn ask_herd() -> Table {
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    each_contender!(herd(&mut rows, &mut verdicts));
    Table {
        name: "pool-herd",
        title: "Many users: a cold start".to_owned(),
        about: "All users need a token at once. The issuer takes 50 ms for a token and 100 requests at once; beyond these, it \
                answers with an error. *Last* is the time until the last user has a token or an error, as a ratio to the ideal. \
                keyfob and `moka` call a hook in the process; the other libraries send requests on loopback.",
        columns: vec![
            "",
            "users",
            "requests",
            "at once, at most",
            "turned away",
            "users with a token",
            "last",
            "time",
        ],
        rows,
        measured: "",
        bars: Vec::new(),
        verdicts,
    }
}

async fn herd<U: Users>(rows: &mut Vec<Vec<String>>, verdicts: &mut Vec<String>) {
    let issuer = Issuer::new(TAKES, AT_ONCE, 0);
    let users = HERD.min(U::USERS);
    let (served, last) = all_at_once::<U>(users, 0..users, &issuer).await;
    let load = issuer.load();
    let ratio = last / (TAKES.as_secs_f64() * users as f64 / AT_ONCE as f64);
    rows.push(vec![
        U::NAME.to_owned(),
        users.to_string(),
        load.calls.to_string(),
        load.most_in_flight.to_string(),
        load.turned_away.to_string(),
        served.to_string(),
        figure(ratio),
        time(last),
    ]);
    if U::NAME.starts_with("keyfob") {
        verdicts.push(verdict(
            "requests for each user",
            load.calls as f64 / users as f64,
            1.0,
            "",
        ));
        verdicts.push(verdict(
            "requests at once",
            load.most_in_flight as f64,
            AT_ONCE as f64,
            "",
        ));
        verdicts.push(verdict("last", ratio, 1.2, " of the ideal"));
    }
}

/// Sets everything up, and asks for the tokens of these users at once. Returns how many got one, and the time of the last.
async fn all_at_once<U: Users>(
    users: usize,
    asked: impl Iterator<Item = usize>,
    issuer: &Arc<Issuer>,
) -> (usize, f64) {
    let start = Instant::now();
    let contender = Arc::new(U::start(users, Arc::clone(issuer)).await);
    let mut tasks = JoinSet::new();
    for user in asked {
        let contender = Arc::clone(&contender);
        tasks.spawn(async move { contender.header(user).await.is_ok() });
    }
    let ended = all_that_end(tasks, start + PATIENCE).await;
    let served = ended.into_iter().filter(|is_served| *is_served).count();
    (served, start.elapsed().as_secs_f64())
}

async fn ask_failing() -> Table {
    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    failing::<Keyfob>(&mut rows, &mut verdicts).await;
    failing::<Moka>(&mut rows, &mut verdicts).await;
    failing::<LimitedMoka>(&mut rows, &mut verdicts).await;
    Table {
        name: "pool-failing",
        title: "Many users: the issuer refuses some".to_owned(),
        about: "9,000 users need a token at once, while each of 1,000 others asks ten times and is refused each time. The issuer \
                has no limit here. *Others* is the time until the last of the 9,000 has a token, as a ratio to the same without \
                the 1,000. The other libraries have a cache for each user, which the section on failures above measures.",
        columns: vec![
            "",
            "others",
            "others with a token",
            "requests for the refused users",
        ],
        rows,
        measured: "",
        bars: Vec::new(),
        verdicts,
    }
}

async fn failing<U: Users>(rows: &mut Vec<Vec<String>>, verdicts: &mut Vec<String>) {
    let issuer = Issuer::new(TAKES, AT_ONCE_WITHOUT_LIMIT, 0);
    let (_, alone) = all_at_once::<U>(HERD, REFUSED..HERD, &issuer).await;
    let issuer = Issuer::new(TAKES, AT_ONCE_WITHOUT_LIMIT, REFUSED);
    let contender = Arc::new(U::start(HERD, Arc::clone(&issuer)).await);
    let asks_again = {
        let contender = Arc::clone(&contender);
        tokio::spawn(async move {
            for _ in 0..ASKS {
                let mut tasks = JoinSet::new();
                for user in 0..REFUSED {
                    let contender = Arc::clone(&contender);
                    tasks.spawn(async move { contender.header(user).await.is_ok() });
                }
                tasks.join_all().await;
            }
        })
    };
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for user in REFUSED..HERD {
        let contender = Arc::clone(&contender);
        tasks.spawn(async move { contender.header(user).await.is_ok() });
    }
    let ended = all_that_end(tasks, start + PATIENCE).await;
    let with_failures = start.elapsed().as_secs_f64();
    asks_again.await.expect("no panic");
    let served = ended.into_iter().filter(|is_served| *is_served).count();
    let calls = issuer.load().calls - (HERD - REFUSED) as u64;
    let ratio = with_failures / alone;
    rows.push(vec![
        U::NAME.to_owned(),
        figure(ratio),
        served.to_string(),
        calls.to_string(),
    ]);
    if U::NAME.starts_with("keyfob") {
        let unserved = (HERD - REFUSED - served) as f64;
        verdicts.push(verdict("others without a token", unserved, 0.0, ""));
        verdicts.push(verdict(
            "others, with 1,000 refused",
            ratio,
            1.2,
            " of the time without",
        ));
    }
}

/// The argument with which this program measures the memory of one contender.
pub const MEMORY: &str = "memory-of-users";

const MEASURED: [(&str, usize); 5] = [
    (Keyfob::NAME, Keyfob::USERS),
    (Moka::NAME, Moka::USERS),
    (LimitedMoka::NAME, LimitedMoka::USERS),
    (
        crate::many_users::Google::NAME,
        crate::many_users::Google::USERS,
    ),
    (
        crate::many_users::Huskarl::NAME,
        crate::many_users::Huskarl::USERS,
    ),
];
/// What a user of keyfob's pool takes in memory, about.
const BYTES_OF_A_USER: usize = 1_600;
const READS: usize = 100_000;
const ROUNDS: usize = 5;
const HERD: usize = 10_000;
const REFUSED: usize = 1_000;
const ASKS: usize = 10;
const AT_ONCE: usize = 100;
/// keyfob and the semaphore keep to this limit, but the issuer refuses no request because of it.
const AT_ONCE_WITHOUT_LIMIT: usize = 1_000_000;
const TAKES: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);
