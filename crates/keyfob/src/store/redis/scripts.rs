//! The commands and scripts that run on the server. Each is atomic there, and may be sent twice.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, cmd};

use crate::error::error::Error;
use crate::store::error::StoreError;
use crate::store::redis::connection::Connection;

/// The names of the Redis keys of one entry. The part in braces puts them on the same node of a cluster.
pub(super) struct Names {
    entry: String,
    lease: String,
    fence: String,
    bad: String,
    index: String,
    id: String,
}

/// An entry, as the server keeps it.
pub(super) struct SealedEntry {
    /// Identifies the save that wrote the entry.
    pub(super) revision: String,
    pub(super) sealed: Vec<u8>,
    pub(super) age: Duration,
}

impl Names {
    pub(super) fn new(prefix: &str, id: &str) -> Self {
        let name = |what: &str| format!("{prefix}:{{{id}}}:{what}");
        Self {
            entry: name("entry"),
            lease: name("lease"),
            fence: name("fence"),
            bad: name("bad"),
            index: index(prefix),
            id: id.to_owned(),
        }
    }
}

pub(super) async fn load(
    connection: &Connection,
    names: &Names,
) -> Result<Option<SealedEntry>, StoreError> {
    let command = script(LOAD, &[&names.entry]);
    let found: Option<(String, Vec<u8>, u64)> = send(connection, &command).await?;
    Ok(found.map(|(revision, sealed, age)| SealedEntry {
        revision,
        sealed,
        age: Duration::from_millis(age),
    }))
}

/// Takes the lease; `None` if another process has it. The number that is returned grows with each lease.
pub(super) async fn lease(
    connection: &Connection,
    names: &Names,
    lease_id: &str,
    duration: Duration,
) -> Result<Option<u64>, StoreError> {
    let mut command = script(LEASE, &[&names.lease, &names.fence]);
    command.arg(lease_id).arg(milliseconds(duration));
    let fence: u64 = send(connection, &command).await?;
    Ok((fence != 0).then_some(fence))
}

/// Extends the lease; `false` if it has expired, or another process has it.
pub(super) async fn extend(
    connection: &Connection,
    names: &Names,
    lease_id: &str,
    duration: Duration,
) -> Result<bool, StoreError> {
    let mut command = script(EXTEND, &[&names.lease]);
    command.arg(lease_id).arg(milliseconds(duration));
    send(connection, &command).await
}

pub(super) async fn release(
    connection: &Connection,
    names: &Names,
    lease_id: &str,
) -> Result<bool, StoreError> {
    let mut command = script(RELEASE, &[&names.lease]);
    command.arg(lease_id);
    send(connection, &command).await
}

/// Saves an entry that follows one of two revisions; `false` if another process has saved a third one.
///
/// If there is no entry, it was lost or forgotten. Then the new one is all that is left, and it is saved.
pub(super) async fn save(
    connection: &Connection,
    names: &Names,
    follows: [&str; 2],
    new: (&str, &[u8]),
) -> Result<bool, StoreError> {
    let mut command = script(SAVE, &[&names.entry]);
    command.arg(&follows).arg(new.0).arg(new.1);
    let saved = send(connection, &command).await?;
    if saved {
        let mut command = cmd("SADD");
        command.arg(&names.index).arg(&names.id);
        let _: u64 = send(connection, &command).await?;
    }
    Ok(saved)
}

pub(super) async fn remove(connection: &Connection, names: &Names) -> Result<bool, StoreError> {
    let removed: u64 = send(connection, cmd("DEL").arg(&names.entry)).await?;
    let mut command = cmd("SREM");
    command.arg(&names.index).arg(&names.id);
    let _: u64 = send(connection, &command).await?;
    Ok(removed != 0)
}

pub(super) async fn quarantine(connection: &Connection, names: &Names) -> Result<(), StoreError> {
    let command = script(SET_ASIDE, &[&names.entry, &names.bad]);
    send::<bool>(connection, &command).await.map(drop)
}

/// The ids of all entries that were saved. Some entries may be gone.
pub(super) async fn ids(connection: &Connection, prefix: &str) -> Result<Vec<String>, StoreError> {
    send(connection, cmd("SMEMBERS").arg(index(prefix))).await
}

async fn send<T: FromRedisValue>(connection: &Connection, command: &Cmd) -> Result<T, StoreError> {
    let reply = connection.run(command).await?;
    // The reply is kept out of the error, because it may be an entry.
    T::from_redis_value(reply).map_err(|_| {
        StoreError::unavailable(Error::unavailable(
            "the shared token store sent a reply that is not understood",
        ))
    })
}

fn script(text: &str, names: &[&String]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(names.len());
    for name in names {
        command.arg(name.as_str());
    }
    command
}

fn index(prefix: &str) -> String {
    format!("{prefix}:index")
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

const LOAD: &str = "
local found = redis.call('HMGET', KEYS[1], 'revision', 'sealed', 'saved')
if not found[2] then return false end
local now = redis.call('TIME')
local age = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(found[3])
return {found[1], found[2], math.max(0, age)}";

// A lease that this process has already taken is taken again, in case the reply to the first command was lost.
const LEASE: &str = "
local current = redis.call('GET', KEYS[1])
if current and current ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('INCR', KEYS[2])";

const EXTEND: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

const RELEASE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

// The first check makes a repeated save succeed, if the reply to it was lost.
const SAVE: &str = "
local now = redis.call('HGET', KEYS[1], 'revision')
if now == ARGV[3] then return 1 end
if now and now ~= ARGV[1] and now ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
local saved = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'revision', ARGV[3], 'sealed', ARGV[4], 'saved', string.format('%.0f', saved))
return 1";

const SET_ASIDE: &str = "
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
return 1";
