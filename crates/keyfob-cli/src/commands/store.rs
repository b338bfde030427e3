//! `keyfob store`: checks a store, changes its key, and copies or moves what it holds.

mod archive;
mod check;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use keyfob::Profile;
use keyfob::store::{
    EntrySummary, PostgresStore, StoreError, StoreErrorKind, TokenStore, check_table_name,
    move_entry, move_entry_keeping_newer, seal_again,
};

use crate::options::profile::{ConfigOption, NamedProfile};
use crate::output::error::CliError;
use crate::output::exit_code::ExitCode;
use crate::output::print::print_stdout;
use crate::stored_tokens::{Counts, LOCK_TIMEOUT, ids_of, own_key, store_of, try_out};

/// Check a token store, change its sealing key, or move what it holds
///
/// A store is named by a profile that uses it. No command prints a token.
#[derive(Args)]
pub(crate) struct StoreCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Sql(Sql),
    /// Check that a store can be used, and that each of its entries can be read
    Check(OfProfile),
    /// Seal all entries of a store with the first of its keys
    RotateKey(OfProfile),
    /// Write what a store holds into a sealed file
    Export(Archive),
    /// Add the entries of such a file to a store
    Import(Archive),
    Migrate(Migrate),
}

/// Print the SQL statements that create the table of a store in PostgreSQL
///
/// Run them once, as a user who may create tables: keyfob store sql | psql URL. The last lines are a comment that names the rights
/// that the user of keyfob needs.
#[derive(Args)]
struct Sql {
    /// The table, if need be after its schema and a dot
    #[arg(long, value_name = "NAME", default_value = PostgresStore::TABLE)]
    table: String,
}

/// A store.
#[derive(Args)]
struct OfProfile {
    #[command(flatten)]
    named: NamedProfile,
}

/// A store, and a file with what it holds.
#[derive(Args)]
struct Archive {
    #[command(flatten)]
    store: OfProfile,
    /// The file with the tokens, which are sealed
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The file with the key that seals them, such as `openssl rand -base64 32` makes
    #[arg(long, value_name = "FILE")]
    sealing_key: PathBuf,
}

/// Move all tokens of a store to another, while programs use both
///
/// Each token is moved under its lease, so that none is renewed meanwhile. The old store keeps a marker: a program that still uses it gets
/// an error that names the new store, and sends no refresh token that was used up. If it is interrupted, run it again: what was moved
/// before is counted, and is no failure. If a program has renewed a token meanwhile, both stores have one: the error says which of
/// them is newer, and --keep-newer keeps it.
///
/// The tokens stay those of their profiles. So give these profiles, whose names are printed, the new `store` in keyfob.toml; the profile TO
/// only names the store. A program that is switched to TO may send a refresh token that was used up.
#[derive(Args)]
struct Migrate {
    /// A profile that uses the old store
    from: String,
    /// A profile that uses the new store
    to: String,
    /// If both stores have a token under one key, keep the newer one, and drop the other
    #[arg(long)]
    keep_newer: bool,
    #[command(flatten)]
    config: ConfigOption,
}

/// A store, and what it holds.
struct Opened {
    store: Arc<dyn TokenStore>,
    location: String,
}

impl StoreCommand {
    pub(crate) async fn run(self) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Sql(sql) => sql.run(),
            Command::Check(check) => check::run(&*check.open()?.store).await,
            Command::RotateKey(rotate) => rotate.rotate_key().await,
            Command::Export(archive) => archive::export(&archive).await,
            Command::Import(archive) => archive::import(&archive).await,
            Command::Migrate(migrate) => migrate.run().await,
        }
    }
}

impl Sql {
    fn run(self) -> Result<ExitCode, CliError> {
        let checked = check_table_name(&self.table);
        checked.map_err(|problem| CliError::usage(format!("--table {problem}")))?;
        print_stdout(PostgresStore::sql(&self.table))?;
        Ok(ExitCode::Done)
    }
}

impl OfProfile {
    fn open(&self) -> Result<Opened, CliError> {
        open(&self.named.profile()?)
    }

    async fn rotate_key(self) -> Result<ExitCode, CliError> {
        let profile = self.named.profile()?;
        let opened = open(&profile)?;
        if !profile.has_sealing_keys() {
            return Err(CliError::usage(format!(
                "the store of {} has no `keys`, so its tokens are not sealed; set `keys` first",
                profile.name()
            )));
        }
        let mut counts = Counts::default();
        for entry in opened.entries().await? {
            let sealed = seal_again(&*opened.store, &entry.key, LOCK_TIMEOUT).await;
            counts.add(&entry, sealed);
        }
        counts.report("sealed with the first key")
    }
}

impl Migrate {
    async fn run(self) -> Result<ExitCode, CliError> {
        let from = open(&self.config.profile(&self.from)?)?;
        let to = open(&self.config.profile(&self.to)?)?;
        if from.location == to.location {
            return Err(same_store());
        }
        let entries = from.entries().await?;
        if !entries.is_empty() {
            from.require_other(&to).await?;
        }
        let mut counts = Counts::default();
        let mut there = BTreeSet::new();
        for entry in entries {
            let (key, place) = (&entry.key, &to.location);
            let (old, new) = (&*from.store, &*to.store);
            let moved = match self.keep_newer {
                true => move_entry_keeping_newer(key, old, new, place, LOCK_TIMEOUT).await,
                false => move_entry(key, old, new, place, LOCK_TIMEOUT).await,
            };
            let is_there = match &moved {
                Ok(was_moved) => *was_moved,
                Err(fault) => fault.moved_to() == Some(place),
            };
            if is_there {
                there.insert(key.id().to_owned());
            }
            counts.add(&entry, moved);
        }
        let outcome = counts.report("moved");
        print_stdout(self.advice(&there, &from.location)?)?;
        outcome
    }

    /// Who has to use the new store now. The key of a token has the name of its profile, so another profile does not find it there.
    fn advice(&self, moved: &BTreeSet<String>, from: &str) -> Result<String, CliError> {
        let (mut names, mut known) = (Vec::new(), BTreeSet::new());
        for profile in self.config.profiles()?.iter() {
            let ids: BTreeSet<_> = ids_of(profile).into_iter().map(|(id, _)| id).collect();
            let uses_old = matches!(profile.store_location(), Ok(Some(place)) if place == from);
            if uses_old && !ids.is_disjoint(moved) {
                names.push(profile.name().to_owned());
            }
            known.extend(ids);
        }
        // Of one user of a profile, or of a profile in another file.
        if !moved.is_subset(&known) {
            let other = if names.is_empty() { "" } else { "other " };
            names.push(format!("each {other}profile whose token was moved"));
        }
        if names.is_empty() {
            return Ok(String::new());
        }
        Ok(format!(
            "in keyfob.toml, give the new `store` to {}: a token stays that of its profile, and {} only names the store\n",
            names.join(", "),
            self.to
        ))
    }
}

impl Opened {
    async fn entries(&self) -> Result<Vec<EntrySummary>, CliError> {
        Ok(self.store.list().await.map_err(keyfob::Error::from)?)
    }

    /// Fails if the other store is this one under another name: their leases would wait for each other.
    async fn require_other(&self, other: &Self) -> Result<(), CliError> {
        let shares_leases = self.shares_leases_with(other).await;
        match shares_leases.map_err(keyfob::Error::from)? {
            false => Ok(()),
            true if [self, other].iter().any(|store| store.is_keyring()) => Err(CliError::usage(
                "the keyring keeps its locks in the directory of the other store, so no token can be moved between them; move the \
                 tokens to files in another directory first",
            )),
            true => Err(same_store()),
        }
    }

    /// Whether a lease in this store holds up the same one in the other. An entry of their own shows that both can be used.
    async fn shares_leases_with(&self, other: &Self) -> Result<bool, StoreError> {
        let key = own_key();
        let held = self.store.lease(&key, LOCK_TIMEOUT).await?;
        let shares_leases = match other.store.lease(&key, Duration::ZERO).await {
            Ok(lease) => try_out(lease).await.map(|()| false),
            Err(fault) if fault.kind() == StoreErrorKind::Busy => Ok(true),
            Err(fault) => Err(fault),
        };
        let tried = try_out(held).await;
        shares_leases.and_then(|shares_leases| tried.map(|()| shares_leases))
    }

    fn is_keyring(&self) -> bool {
        self.location == KEYRING
    }
}

fn same_store() -> CliError {
    CliError::usage("both profiles use the same store")
}

fn open(profile: &Profile) -> Result<Opened, CliError> {
    let (store, _) = store_of(profile)?;
    let location = profile.store_location()?.unwrap_or_default();
    Ok(Opened { store, location })
}

/// The place of the keyring in the words of [`Profile::store_location`].
const KEYRING: &str = "the keyring";
