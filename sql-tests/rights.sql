-- Who may see and who may clone. REPLICATION is checked inside the procedure, since the helper
-- calls it with a role that has nothing else.
CREATE EXTENSION pg_standby_clone;
CREATE ROLE regress_clone_nobody LOGIN;
CREATE ROLE regress_clone_watcher LOGIN;
GRANT pg_monitor TO regress_clone_watcher;
CREATE ROLE "Regress Clone Replicator" LOGIN REPLICATION;

SET ROLE regress_clone_nobody;
SELECT * FROM clone_progress;
SELECT * FROM clone_streams;
SELECT * FROM clone_phases;
SELECT * FROM clone_status();
SELECT * FROM pg_standby_clone_records();
SELECT count(*) FROM clone_records;
CALL pg_standby_clone_stream();
RESET ROLE;

SET ROLE regress_clone_watcher;
SELECT count(*) FROM clone_progress;
SELECT count(*) FROM clone_streams;
SELECT count(*) FROM clone_phases;
SELECT count(*) FROM clone_status();
SELECT count(*) FROM clone_records;
CALL pg_standby_clone_stream();
RESET ROLE;

-- Within a transaction, a function or a subtransaction there is no clone.
SET ROLE "Regress Clone Replicator";
SELECT count(*) FROM clone_status();
BEGIN;
CALL pg_standby_clone_stream();
ROLLBACK;
DO $$ BEGIN CALL pg_standby_clone_stream(); EXCEPTION WHEN no_data_found THEN NULL; END $$;
RESET ROLE;
CREATE FUNCTION call_it() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL pg_standby_clone_stream(); END $$;
SELECT call_it();
DROP FUNCTION call_it();

DROP ROLE regress_clone_nobody;
DROP ROLE regress_clone_watcher;
DROP ROLE "Regress Clone Replicator";
DROP EXTENSION pg_standby_clone;
