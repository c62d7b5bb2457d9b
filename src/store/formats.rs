//! The tables, as they are created.

/// The format of the tables. A store of a higher format is refused, one of a lower format is migrated before it is written.
pub const FORMAT: u32 = 2;

/// `application_id` is "tnty" in ASCII, which distinguishes the file from those of other programs.
pub const SQLITE: &str = "
PRAGMA application_id = 1953395833;
CREATE TABLE scopes (
  id INTEGER PRIMARY KEY, estate TEXT NOT NULL, environment TEXT NOT NULL, sequence INTEGER NOT NULL, hash TEXT NOT NULL,
  token INTEGER NOT NULL, run INTEGER NOT NULL, UNIQUE (estate, environment)
) STRICT;
CREATE TABLE journal (
  scope INTEGER NOT NULL, sequence INTEGER NOT NULL, run INTEGER, at TEXT NOT NULL, event TEXT NOT NULL, owner TEXT,
  detail TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (scope, sequence)
) STRICT;
CREATE INDEX journal_by_owner ON journal (scope, owner, sequence) WHERE owner IS NOT NULL;
CREATE INDEX journal_by_run ON journal (scope, run, sequence) WHERE run IS NOT NULL;
CREATE TRIGGER journal_refuses_update BEFORE UPDATE ON journal
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_refuses_replace BEFORE INSERT ON journal
  WHEN EXISTS (SELECT 1 FROM journal WHERE scope = NEW.scope AND sequence = NEW.sequence)
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE inventory (
  id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, address TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL,
  identity TEXT NOT NULL, spec TEXT NOT NULL, outputs TEXT NOT NULL, generation INTEGER NOT NULL,
  protect INTEGER NOT NULL, depends_on TEXT NOT NULL, sequence INTEGER NOT NULL, UNIQUE (scope, address)
) STRICT;
CREATE INDEX inventory_by_scope ON inventory (scope);
CREATE TABLE open_steps (
  scope INTEGER NOT NULL, address TEXT NOT NULL, sequence INTEGER NOT NULL, step TEXT NOT NULL,
  PRIMARY KEY (scope, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE phases (
  scope INTEGER NOT NULL, tenant TEXT NOT NULL, phase TEXT NOT NULL, PRIMARY KEY (scope, tenant)
) STRICT, WITHOUT ROWID;
CREATE TABLE targets (
  scope INTEGER NOT NULL, target TEXT NOT NULL, fingerprint TEXT NOT NULL, since TEXT NOT NULL,
  PRIMARY KEY (scope, target)
) STRICT, WITHOUT ROWID;
CREATE TABLE locks (
  scope INTEGER NOT NULL, owner TEXT NOT NULL, holder TEXT NOT NULL, process TEXT, token INTEGER NOT NULL,
  acquired INTEGER NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (scope, owner)
) STRICT, WITHOUT ROWID;
CREATE INDEX locks_by_holder ON locks (scope, holder);
CREATE TABLE lost (
  scope INTEGER NOT NULL, holder TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (scope, holder)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
";

/// What format 1 had, so that its names are free. Its rows were read before.
pub const SQLITE_DROP_FORMAT_1: &str = "
DROP TABLE state;
DROP TABLE journal;
DROP TABLE inventory;
DROP TABLE open_steps;
DROP TABLE phases;
DROP TABLE locks;
DROP TABLE lost;
";

pub const POSTGRES: &str = "
CREATE SCHEMA IF NOT EXISTS tenantry_store;
CREATE TABLE tenantry_store.format (version BIGINT NOT NULL);
INSERT INTO tenantry_store.format VALUES (2);
CREATE TABLE tenantry_store.scopes (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, estate TEXT NOT NULL, environment TEXT NOT NULL,
  sequence BIGINT NOT NULL, hash TEXT NOT NULL, token BIGINT NOT NULL, run BIGINT NOT NULL,
  UNIQUE (estate, environment)
);
CREATE TABLE tenantry_store.journal (
  scope BIGINT NOT NULL, sequence BIGINT NOT NULL, run BIGINT, at TEXT NOT NULL, event TEXT NOT NULL, owner TEXT,
  detail TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (scope, sequence)
);
CREATE INDEX journal_by_owner ON tenantry_store.journal (scope, owner, sequence) WHERE owner IS NOT NULL;
CREATE INDEX journal_by_run ON tenantry_store.journal (scope, run, sequence) WHERE run IS NOT NULL;
CREATE FUNCTION tenantry_store.refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$;
CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenantry_store.journal
  FOR EACH STATEMENT EXECUTE FUNCTION tenantry_store.refuse();
CREATE TABLE tenantry_store.inventory (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, scope BIGINT NOT NULL, address TEXT NOT NULL, kind TEXT NOT NULL,
  target TEXT NOT NULL, identity TEXT NOT NULL, spec TEXT NOT NULL, outputs TEXT NOT NULL, generation BIGINT NOT NULL,
  protect BIGINT NOT NULL, depends_on TEXT NOT NULL, sequence BIGINT NOT NULL, UNIQUE (scope, address)
);
CREATE INDEX inventory_by_scope ON tenantry_store.inventory (scope, id);
CREATE TABLE tenantry_store.open_steps (
  scope BIGINT NOT NULL, address TEXT NOT NULL, sequence BIGINT NOT NULL, step TEXT NOT NULL,
  PRIMARY KEY (scope, address)
);
CREATE TABLE tenantry_store.phases (
  scope BIGINT NOT NULL, tenant TEXT NOT NULL, phase TEXT NOT NULL, PRIMARY KEY (scope, tenant)
);
CREATE TABLE tenantry_store.targets (
  scope BIGINT NOT NULL, target TEXT NOT NULL, fingerprint TEXT NOT NULL, since TEXT NOT NULL,
  PRIMARY KEY (scope, target)
);
CREATE TABLE tenantry_store.locks (
  scope BIGINT NOT NULL, owner TEXT NOT NULL, holder TEXT NOT NULL, process TEXT, token BIGINT NOT NULL,
  acquired BIGINT NOT NULL, expires BIGINT NOT NULL, PRIMARY KEY (scope, owner)
);
CREATE INDEX locks_by_holder ON tenantry_store.locks (scope, holder);
CREATE TABLE tenantry_store.lost (
  scope BIGINT NOT NULL, holder TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (scope, holder)
);
";

/// Moves the tables of format 1 aside, where they stay as they were.
pub const POSTGRES_PUT_FORMAT_1_ASIDE: &str = "ALTER SCHEMA tenantry_store RENAME TO tenantry_store_format_1";

/// Gives the new tables the owner and the privileges that those of format 1 have: runners may connect as other roles.
pub const POSTGRES_PRIVILEGES_OF_FORMAT_1: &str = "
DO $do$
DECLARE
  owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'tenantry_store_format_1.journal'::regclass);
  item record;
BEGIN
  FOR item IN
    SELECT DISTINCT acl.grantee, acl.privilege_type AS privilege
    FROM pg_class, LATERAL aclexplode(relacl) AS acl
    WHERE oid = 'tenantry_store_format_1.inventory'::regclass
      AND acl.grantee <> relowner AND acl.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA tenantry_store TO %s',
      CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END);
    EXECUTE format('GRANT %s ON ALL TABLES IN SCHEMA tenantry_store TO %s', item.privilege,
      CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END);
  END LOOP;
  IF owner <> current_user THEN
    FOR item IN SELECT relname FROM pg_class
      WHERE relnamespace = 'tenantry_store'::regnamespace AND relkind = 'r'
    LOOP
      EXECUTE format('ALTER TABLE tenantry_store.%I OWNER TO %I', item.relname, owner);
    END LOOP;
    EXECUTE format('ALTER SCHEMA tenantry_store OWNER TO %I', owner);
  END IF;
END $do$;
";
