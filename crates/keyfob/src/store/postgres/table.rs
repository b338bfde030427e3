//! The table of a store: its name, its layout and its statements.
//!
//! Each statement is a transaction of its own, and is atomic. None is prepared, so that a pool between keyfob and the
//! database may give each statement to another connection.

use tokio_postgres::types::Type;

use crate::error::error::Error;
use crate::store::postgres::fault::Fault;
use crate::store::postgres::open_connection::OpenConnection;

/// A table, and the statements that read and change it.
#[derive(Clone)]
pub(super) struct Table {
    /// The name, as a user wrote it.
    pub(super) name: String,
    /// The name in quotes, as a statement needs it.
    quoted: String,
    pub(super) read: String,
    pub(super) list: String,
    pub(super) lease: String,
    pub(super) extend: String,
    pub(super) release: String,
    pub(super) write: String,
    pub(super) remove: String,
    pub(super) remove_expired: String,
    pub(super) quarantine: String,
}

impl Table {
    /// A table of this name, which may begin with a schema and a dot.
    pub(super) fn new(name: String) -> Self {
        let parts = name.split('.');
        let parts: Vec<_> = parts
            .map(|part| format!("\"{}\"", part.replace('"', "\"\"")))
            .collect();
        let quoted = parts.join(".");
        let fill = |statement: &str| statement.replace("TOKENS", &quoted);
        Self {
            read: fill(READ),
            list: fill(LIST),
            lease: fill(LEASE),
            extend: fill(EXTEND),
            release: fill(RELEASE),
            write: fill(WRITE),
            remove: fill(REMOVE),
            remove_expired: fill(REMOVE_EXPIRED),
            quarantine: fill(QUARANTINE),
            name,
            quoted,
        }
    }

    /// The statements that create the table.
    pub(super) fn sql(&self) -> String {
        // The name last, because it may hold the other word.
        let marked = CREATE.replace("LAYOUT", &format!("{MARK}{LAYOUT}"));
        let (statements, comment) = marked.split_at(marked.rfind("-- ").unwrap_or_default());
        // A line end in the name would end the comment, and what follows it would run.
        let on_one_line = self.quoted.replace(['\n', '\r'], " ");
        statements.replace("TOKENS", &self.quoted) + &comment.replace("TOKENS", &on_one_line)
    }

    /// Fails unless the table is there, and has the layout that this version knows.
    ///
    /// An older program must not write to the table of a newer one, because it does not know what the columns mean there.
    pub(super) async fn check(&self, open: &OpenConnection) -> Result<(), Fault> {
        let client = &open.client;
        let found = open
            .ask(client.query_typed_one(DESCRIBE, &[(&self.quoted, Type::TEXT)]))
            .await?;
        let (exists, comment): (bool, Option<String>) = (found.try_get(0)?, found.try_get(1)?);
        let columns: Vec<String> = found.try_get(2)?;
        if !exists {
            let name = &self.name;
            return Err(Fault::Table(Error::unavailable(format!(
                "the database has no table `{name}` for the tokens; `keyfob store sql` prints how to create it"
            ))));
        }
        self.check_layout(comment.as_deref().unwrap_or_default(), &columns)
            .map_err(Fault::Table)
    }

    fn check_layout(&self, comment: &str, columns: &[String]) -> Result<(), Error> {
        let name = &self.name;
        let layout = comment.strip_prefix(MARK);
        let missing = missing(columns);
        match layout.and_then(|layout| layout.parse::<u32>().ok()) {
            Some(LAYOUT) if missing.is_empty() => Ok(()),
            Some(LAYOUT) => Err(Error::unavailable(format!(
                "the table `{name}` lacks {missing}; add what is missing, as `keyfob store sql` prints it"
            ))),
            Some(older @ 1..LAYOUT) => {
                let add = match missing.is_empty() {
                    true => String::new(),
                    false => format!("add {missing}, and then "),
                };
                Err(Error::unavailable(format!(
                    "the table `{name}` has layout {older}, and this version of keyfob needs layout {LAYOUT}; {add}set the comment \
                     that `keyfob store sql` prints"
                )))
            }
            Some(newer) if newer > LAYOUT => Err(Error::unavailable(format!(
                "the table `{name}` was made for a newer version of keyfob; upgrade this one"
            ))),
            _ => Err(Error::unavailable(format!(
                "the table `{name}` is not one of keyfob's, or its comment was changed; `keyfob store sql` prints how to \
                 create it"
            ))),
        }
    }
}

/// The columns that a table with these columns does not have, with their types.
fn missing(columns: &[String]) -> String {
    let lines = CREATE.lines().filter_map(|line| line.strip_prefix("  "));
    let wanted = lines.map(|line| line.trim_end_matches(','));
    let has = |name: &str| columns.iter().any(|column| column == name);
    let missing = wanted.filter(|column| !has(column.split(' ').next().unwrap_or_default()));
    let missing: Vec<_> = missing.map(|column| format!("`{column}`")).collect();
    match missing.len() {
        0 => String::new(),
        1 => format!("the column {}", missing[0]),
        _ => format!("the columns {}", missing.join(", ")),
    }
}

/// Increased when older versions can no longer use the table.
const LAYOUT: u32 = 2;

/// The beginning of the comment on the table. The layout follows.
const MARK: &str = "keyfob tokens, layout ";

const CREATE: &str = "\
-- Each row holds one token, sealed: without the sealing key it shows nothing.
CREATE TABLE TOKENS (
  id text PRIMARY KEY,
  revision text,
  sealed bytea,
  saved timestamptz,
  quarantined bytea,
  lease text,
  lease_until timestamptz,
  fence bigint NOT NULL DEFAULT 0,
  keep_until timestamptz
);
-- Rows that are of no use after this time are removed by later saves.
CREATE INDEX ON TOKENS (keep_until);
-- keyfob reads this comment, and refuses a table whose layout it does not know.
COMMENT ON TABLE TOKENS IS 'LAYOUT';
-- The user of keyfob needs these rights and no other:
-- GRANT SELECT, INSERT, UPDATE, DELETE ON TOKENS TO keyfob;
";

const DESCRIBE: &str = "\
SELECT to_regclass($1) IS NOT NULL, obj_description(to_regclass($1), 'pg_class'), ARRAY(
  SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped)";

const READ: &str = "\
SELECT revision, sealed, (extract(epoch FROM clock_timestamp() - saved) * 1000)::bigint
FROM TOKENS WHERE id = $1 AND sealed IS NOT NULL";

const LIST: &str =
    "SELECT id, sealed IS NOT NULL FROM TOKENS WHERE sealed IS NOT NULL OR quarantined IS NOT NULL";

// A lease that this process has already taken is taken again, in case the reply to the first statement was lost. If nothing is
// saved, the row is kept for a day. Leases have random names, so that they differ if `fence` begins anew.
const LEASE: &str = "\
INSERT INTO TOKENS AS row (id, lease, lease_until, fence, keep_until)
VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond', 1, clock_timestamp() + interval '1 day')
ON CONFLICT (id) DO UPDATE
SET lease = excluded.lease, lease_until = clock_timestamp() + $3 * interval '1 millisecond', fence = row.fence + 1
WHERE row.lease IS NULL OR row.lease = excluded.lease OR row.lease_until <= clock_timestamp()
RETURNING fence";

// The lease may have expired and belong to another process. Only its own process may extend or end it.
const EXTEND: &str = "\
UPDATE TOKENS SET lease_until = clock_timestamp() + $3 * interval '1 millisecond'
WHERE id = $1 AND lease = $2 AND lease_until > clock_timestamp()
RETURNING true";

const RELEASE: &str = "\
UPDATE TOKENS SET lease = NULL, lease_until = NULL WHERE id = $1 AND lease = $2 RETURNING true";

// The last condition makes a repeated save succeed, if the reply to it was lost. The setting holds for this transaction: a
// database may be set up to reply before the row is on its disk.
const WRITE: &str = "\
WITH durable AS (SELECT set_config('synchronous_commit',
  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true))
INSERT INTO TOKENS AS row (id, revision, sealed, saved, keep_until)
SELECT $1, $2, $3, clock_timestamp(), clock_timestamp() + $6 * interval '1 millisecond' FROM durable
ON CONFLICT (id) DO UPDATE
SET revision = excluded.revision, sealed = excluded.sealed,
  keep_until = CASE WHEN $7 THEN row.keep_until ELSE excluded.keep_until END,
  saved = CASE WHEN row.revision = excluded.revision THEN row.saved ELSE excluded.saved END
WHERE row.revision IS NULL OR row.revision IN ($4, $5) OR row.revision = excluded.revision
RETURNING true";

const REMOVE: &str = "\
UPDATE TOKENS SET revision = NULL, sealed = NULL, saved = NULL, quarantined = NULL, keep_until = clock_timestamp() + interval '1 day'
WHERE id = $1 AND (sealed IS NOT NULL OR quarantined IS NOT NULL)
RETURNING true";

// Not a row whose lease is held: its process is about to save.
const REMOVE_EXPIRED: &str = "\
DELETE FROM TOKENS WHERE id IN (
  SELECT id FROM TOKENS WHERE keep_until <= clock_timestamp() AND (lease IS NULL OR lease_until <= clock_timestamp())
  ORDER BY keep_until LIMIT 10 FOR UPDATE SKIP LOCKED)";

// Kept, because a person may still open it with an older key.
const QUARANTINE: &str = "\
UPDATE TOKENS SET quarantined = sealed, revision = NULL, sealed = NULL, saved = NULL
WHERE id = $1 AND sealed IS NOT NULL
RETURNING true";

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 9] = [
        "id",
        "revision",
        "sealed",
        "saved",
        "quarantined",
        "lease",
        "lease_until",
        "fence",
        "keep_until",
    ];

    fn check(comment: &str, columns: &[&str]) -> Result<(), String> {
        let columns: Vec<_> = columns.iter().map(|&column| column.to_owned()).collect();
        let checked = Table::new("t".to_owned()).check_layout(comment, &columns);
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn t9_a_table_of_a_newer_version_is_refused() {
        assert_eq!(check("keyfob tokens, layout 2", &COLUMNS), Ok(()));
        let newer = check("keyfob tokens, layout 3", &COLUMNS).unwrap_err();
        assert!(newer.contains("newer version"), "{newer}");
        for other in [
            "",
            "users",
            "keyfob tokens, layout",
            "keyfob tokens, layout 0",
        ] {
            let error = check(other, &COLUMNS).unwrap_err();
            assert!(error.contains("not one of keyfob's"), "{error}");
        }
    }

    #[test]
    fn the_columns_that_a_table_lacks_are_named_with_their_types() {
        for (layout, columns, expected) in [
            (
                1,
                &COLUMNS[..8],
                "the table `t` has layout 1, and this version of keyfob needs layout 2; add the column `keep_until timestamptz`, \
                 and then set the comment that `keyfob store sql` prints",
            ),
            (
                1,
                &COLUMNS[..7],
                "the columns `fence bigint NOT NULL DEFAULT 0`, `keep_until timestamptz`",
            ),
            (1, &COLUMNS[..], "needs layout 2; set the comment"),
            (2, &COLUMNS[1..], "lacks the column `id text PRIMARY KEY`"),
        ] {
            let comment = format!("{MARK}{layout}");
            let error = check(&comment, columns).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_line_end_in_the_name_of_a_table_does_not_end_a_comment() {
        for end in ["\n", "\r", "\r\n"] {
            let sql = Table::new(format!("a{end}DROP TABLE users; --")).sql();
            let (_, comment) = sql.rsplit_once("-- GRANT").unwrap();
            let (comment, rest) = comment.split_once(['\n', '\r']).unwrap();
            assert!(comment.ends_with("TO keyfob;"), "{sql}");
            assert_eq!(rest, "");
        }
    }

    #[test]
    fn the_name_of_a_table_is_quoted_and_may_have_a_schema() {
        let table = Table::new("auth.odd\"; DROP TABLE users".to_owned());
        assert_eq!(table.quoted, "\"auth\".\"odd\"\"; DROP TABLE users\"");
        assert!(table.sql().contains("CREATE TABLE \"auth\".\"odd\"\""));
        let sql = Table::new("APP_LAYOUT_TOKENS".to_owned()).sql();
        assert!(
            sql.contains("CREATE TABLE \"APP_LAYOUT_TOKENS\" ("),
            "{sql}"
        );
    }
}
