//! Every statement of the store.
//!
//! Lists are passed as one JSON text, an array of arrays, so that ten thousand locks are one statement. The two dialects
//! differ only in the function that unfolds such a list.

/// The format of the tables. A store of a higher format is refused.
pub const FORMAT: u32 = 1;

/// Statements that take a list as their first parameter.
pub struct Statements {
    /// List of `[sequence, run, at, event, owner, detail, hash]`.
    pub append_entries: &'static str,
    /// List of `[address, sequence, step]`.
    pub open_steps: &'static str,
    /// List of `[address]`.
    pub close_steps: &'static str,
    /// List of `[address, kind, target, identity, spec, outputs, generation, protect, depends_on]`.
    pub keep_applied: &'static str,
    /// List of `[address]`.
    pub forget_applied: &'static str,
    /// List of `[tenant, phase]`.
    pub enter_phases: &'static str,
    /// List of `[owner]`. Answers `owner, holder, token, acquired, expires`.
    pub locks_of: &'static str,
    /// List of `[owner, token]`, then holder, acquired, expires.
    pub take_locks: &'static str,
    /// List of `[owner]`.
    pub remove_locks: &'static str,
    /// List of `[holder, owner]`.
    pub note_lost: &'static str,
}

macro_rules! statements {
    ($list:literal) => {
        Statements {
            append_entries: concat!(
                "INSERT INTO journal (sequence, run, at, event, owner, detail, hash) \
                 SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), value ->> 2, value ->> 3, value ->> 4, \
                 value ->> 5, value ->> 6 FROM ",
                $list
            ),
            open_steps: concat!(
                "INSERT INTO open_steps (address, sequence, step) \
                 SELECT value ->> 0, CAST(value ->> 1 AS BIGINT), value ->> 2 FROM ",
                $list,
                " WHERE true ON CONFLICT (address) DO UPDATE SET sequence = excluded.sequence, step = excluded.step"
            ),
            close_steps: concat!("DELETE FROM open_steps WHERE address IN (SELECT value ->> 0 FROM ", $list, ")"),
            keep_applied: concat!(
                "INSERT INTO inventory (address, kind, target, identity, spec, outputs, generation, protect, depends_on) \
                 SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
                 CAST(value ->> 6 AS BIGINT), CAST(value ->> 7 AS BIGINT), value ->> 8 FROM ",
                $list,
                " WHERE true ON CONFLICT (address) DO UPDATE SET kind = excluded.kind, target = excluded.target, \
                 identity = excluded.identity, spec = excluded.spec, outputs = excluded.outputs, \
                 generation = excluded.generation, protect = excluded.protect, depends_on = excluded.depends_on"
            ),
            forget_applied: concat!("DELETE FROM inventory WHERE address IN (SELECT value ->> 0 FROM ", $list, ")"),
            enter_phases: concat!(
                "INSERT INTO phases (tenant, phase) SELECT value ->> 0, value ->> 1 FROM ",
                $list,
                " WHERE true ON CONFLICT (tenant) DO UPDATE SET phase = excluded.phase"
            ),
            locks_of: concat!(
                "SELECT owner, holder, token, acquired, expires FROM locks \
                 WHERE owner IN (SELECT value ->> 0 FROM ",
                $list,
                ")"
            ),
            take_locks: concat!(
                "INSERT INTO locks (owner, holder, token, acquired, expires) \
                 SELECT value ->> 0, $2, CAST(value ->> 1 AS BIGINT), $3, $4 FROM ",
                $list,
                " WHERE true ON CONFLICT (owner) DO UPDATE SET holder = excluded.holder, token = excluded.token, \
                 acquired = excluded.acquired, expires = excluded.expires"
            ),
            remove_locks: concat!("DELETE FROM locks WHERE owner IN (SELECT value ->> 0 FROM ", $list, ")"),
            note_lost: concat!(
                "INSERT INTO lost (holder, owner) SELECT value ->> 0, value ->> 1 FROM ",
                $list,
                " WHERE true ON CONFLICT (holder) DO NOTHING"
            ),
        }
    };
}

pub const SQLITE: Statements = statements!("json_each($1)");
pub const POSTGRES: Statements = statements!("jsonb_array_elements($1::jsonb)");

pub const HEAD: &str = "SELECT sequence, hash, token, run FROM state";
pub const SET_HEAD: &str = "UPDATE state SET sequence = $1, hash = $2, token = $3, run = $4";

pub const ALL_LOCKS: &str =
    "SELECT owner, holder, token, acquired, expires FROM locks WHERE expires > $1 ORDER BY owner";
pub const LOST: &str = "SELECT owner FROM lost WHERE holder = $1";
pub const EXPIRED: &str = "SELECT owner FROM locks WHERE holder = $1 AND expires <= $2 ORDER BY owner LIMIT 1";
/// An earlier heartbeat that arrives late shortens nothing.
pub const EXTEND: &str = "UPDATE locks SET expires = $3 WHERE holder = $1 AND expires > $2 AND expires < $3";
pub const RELEASE: &str = "DELETE FROM locks WHERE holder = $1";
pub const FORGET_LOST: &str = "DELETE FROM lost WHERE holder = $1";

pub const PHASES: &str = "SELECT tenant, phase FROM phases";
pub const OPEN_STEPS: &str = "SELECT step FROM open_steps ORDER BY sequence, address";

/// One row for many: see `inventory.rs` for the format. Parameters: the last id already read, and the most rows.
pub const INVENTORY: &str = "SELECT count(*), coalesce(max(id), 0), coalesce(string_agg(packed, ''), '') FROM (SELECT id, \
     octet_length(address) || ':' || address || octet_length(kind) || ':' || kind || \
     octet_length(target) || ':' || target || octet_length(identity) || ':' || identity || \
     octet_length(spec) || ':' || spec || octet_length(outputs) || ':' || outputs || \
     octet_length(depends_on) || ':' || depends_on || generation || ':' || protect || ':' AS packed \
     FROM inventory WHERE id > $1 ORDER BY id LIMIT $2) AS part";

pub const END_OF_JOURNAL: &str =
    "SELECT sequence, hash, (SELECT coalesce(max(journal.sequence), 0) FROM journal) FROM state";
pub const ENTRIES_AFTER: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence LIMIT $3";
pub const HISTORY: &str =
    "SELECT sequence, run, at, event, owner, detail, hash FROM journal ORDER BY sequence DESC LIMIT $1";
pub const HISTORY_OF_OWNER: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal WHERE owner = $2 ORDER BY sequence DESC LIMIT $1";
pub const HISTORY_OF_RUN: &str =
    "SELECT sequence, run, at, event, owner, detail, hash FROM journal WHERE run = $2 ORDER BY sequence DESC LIMIT $1";
pub const HISTORY_OF_RUN_AND_OWNER: &str = "SELECT sequence, run, at, event, owner, detail, hash FROM journal \
     WHERE run = $2 AND owner = $3 ORDER BY sequence DESC LIMIT $1";

/// Several statements in one round trip: the view is one for the whole transaction.
pub const POSTGRES_BEGIN_READ: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path TO tenantry_store";

/// The advisory lock lets one writer in at a time, so that the hash chain does not fork; the number is the name
/// "tenantry" in ASCII. Durability is asked for here because a database's default may be less.
pub const POSTGRES_BEGIN_WRITE: &str = "BEGIN; SET LOCAL search_path TO tenantry_store; \
     SET LOCAL synchronous_commit TO on; SELECT pg_advisory_xact_lock(8387231245791425145)";

/// The tables of format 1. `application_id` is "tnty" in ASCII, by which a file of another program is told apart.
pub const SQLITE_FORMAT_1: &str = "
PRAGMA application_id = 1953395833;
CREATE TABLE state (
  sequence INTEGER NOT NULL, hash TEXT NOT NULL, token INTEGER NOT NULL, run INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (0, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0);
CREATE TABLE journal (
  sequence INTEGER PRIMARY KEY, run INTEGER, at TEXT NOT NULL, event TEXT NOT NULL, owner TEXT, detail TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_owner ON journal (owner) WHERE owner IS NOT NULL;
CREATE INDEX journal_by_run ON journal (run) WHERE run IS NOT NULL;
CREATE TRIGGER journal_refuses_update BEFORE UPDATE ON journal
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_refuses_replace BEFORE INSERT ON journal
  WHEN EXISTS (SELECT 1 FROM journal WHERE sequence = NEW.sequence)
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE inventory (
  id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, target TEXT NOT NULL,
  identity TEXT NOT NULL, spec TEXT NOT NULL, outputs TEXT NOT NULL, generation INTEGER NOT NULL,
  protect INTEGER NOT NULL, depends_on TEXT NOT NULL
) STRICT;
CREATE TABLE open_steps (address TEXT PRIMARY KEY, sequence INTEGER NOT NULL, step TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE phases (tenant TEXT PRIMARY KEY, phase TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE locks (
  owner TEXT PRIMARY KEY, holder TEXT NOT NULL, token INTEGER NOT NULL, acquired INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX locks_by_holder ON locks (holder);
CREATE TABLE lost (holder TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
";

pub const POSTGRES_FORMAT_1: &str = "
CREATE SCHEMA IF NOT EXISTS tenantry_store;
CREATE TABLE tenantry_store.format (version BIGINT NOT NULL);
INSERT INTO tenantry_store.format VALUES (1);
CREATE TABLE tenantry_store.state (
  sequence BIGINT NOT NULL, hash TEXT NOT NULL, token BIGINT NOT NULL, run BIGINT NOT NULL
);
INSERT INTO tenantry_store.state VALUES (0, '0000000000000000000000000000000000000000000000000000000000000000', 0, 0);
CREATE TABLE tenantry_store.journal (
  sequence BIGINT PRIMARY KEY, run BIGINT, at TEXT NOT NULL, event TEXT NOT NULL, owner TEXT, detail TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX journal_by_owner ON tenantry_store.journal (owner, sequence) WHERE owner IS NOT NULL;
CREATE INDEX journal_by_run ON tenantry_store.journal (run, sequence) WHERE run IS NOT NULL;
CREATE FUNCTION tenantry_store.refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$;
CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenantry_store.journal
  FOR EACH STATEMENT EXECUTE FUNCTION tenantry_store.refuse();
CREATE TABLE tenantry_store.inventory (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, address TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  target TEXT NOT NULL, identity TEXT NOT NULL, spec TEXT NOT NULL, outputs TEXT NOT NULL, generation BIGINT NOT NULL,
  protect BIGINT NOT NULL, depends_on TEXT NOT NULL
);
CREATE TABLE tenantry_store.open_steps (address TEXT PRIMARY KEY, sequence BIGINT NOT NULL, step TEXT NOT NULL);
CREATE TABLE tenantry_store.phases (tenant TEXT PRIMARY KEY, phase TEXT NOT NULL);
CREATE TABLE tenantry_store.locks (
  owner TEXT PRIMARY KEY, holder TEXT NOT NULL, token BIGINT NOT NULL, acquired BIGINT NOT NULL, expires BIGINT NOT NULL
);
CREATE INDEX locks_by_holder ON tenantry_store.locks (holder);
CREATE TABLE tenantry_store.lost (holder TEXT PRIMARY KEY, owner TEXT NOT NULL);
";
