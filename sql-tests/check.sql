-- check_standby_clone(): its columns and its rows on a server that can be cloned, who may ask, and
-- that a planted object is not called.
CREATE EXTENSION pg_standby_clone;
SELECT "check", status, hint IS NOT NULL AS has_hint FROM check_standby_clone()
 WHERE "check" NOT IN ('pg_hba', 'collations', 'connections', 'wal_space')
 ORDER BY "check" COLLATE "C";
SELECT "check" FROM check_standby_clone() WHERE detail IS NULL OR detail = '';
SELECT status, detail FROM check_standby_clone() WHERE "check" = 'wal_level';
SELECT substring(detail FROM 'in (\d+) files')::integer > 500 AS files FROM check_standby_clone()
 WHERE "check" = 'size';
-- The facts are for the program only.
SELECT count(*) FROM check_standby_clone() WHERE status NOT IN ('ok', 'warning', 'error');
SELECT count(*) > 0 AS has_facts FROM pg_standby_clone_preflight() WHERE status = 'fact';

-- Whoever may clone or watch, may ask.
CREATE ROLE regress_clone_nobody LOGIN;
CREATE ROLE regress_clone_watcher LOGIN;
GRANT pg_monitor TO regress_clone_watcher;
CREATE ROLE regress_clone_replicator LOGIN REPLICATION;
SET ROLE regress_clone_nobody;
SELECT * FROM check_standby_clone();
SET ROLE regress_clone_watcher;
SELECT count(*) > 10 AS some FROM check_standby_clone();
SET ROLE regress_clone_replicator;
SELECT status, detail FROM check_standby_clone() WHERE "check" = 'pg_hba';
RESET ROLE;

-- Objects of the caller's search_path are not looked at.
CREATE SCHEMA trap;
CREATE FUNCTION trap.quote_ident(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION trap.bool_or(boolean) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE VIEW trap.pg_hba_file_rules AS SELECT 1 / 0 AS one;
SET search_path = trap, pg_catalog, public;
SELECT count(*) > 10 AS some FROM public.check_standby_clone();
RESET search_path;
DROP SCHEMA trap CASCADE;

-- In a read-only transaction, and within one that goes on.
BEGIN READ ONLY;
SELECT count(*) > 10 AS some FROM check_standby_clone();
COMMIT;

-- A template database is none to clone through.
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I IS_TEMPLATE true', current_database()); END $$;
SELECT status, hint FROM check_standby_clone() WHERE "check" = 'database';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I IS_TEMPLATE false', current_database()); END $$;

DROP ROLE regress_clone_nobody;
DROP ROLE regress_clone_watcher;
DROP ROLE regress_clone_replicator;
DROP EXTENSION pg_standby_clone;
