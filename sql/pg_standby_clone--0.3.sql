-- pg_standby_clone 0.3: the SQL interface. REVOKE or GRANT stands beside each CREATE: default
-- privileges may be anything. Who has 0.2 comes here with ALTER EXTENSION pg_standby_clone UPDATE: what
-- is changed here is changed in pg_standby_clone--0.2--0.3.sql too, and a test compares the two ways.
\echo Use "CREATE EXTENSION pg_standby_clone" to load this file. \quit

-- Operators and functions are looked up in pg_catalog alone: who may create in the extension's schema
-- must not have his own run by whoever looks.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- Requests and history. A materialized view, because a table would be published by every publication FOR
-- ALL TABLES, and stop subscribers that lack it; yet this is written with the transaction, survives a crash
-- and is replayed on standbys as a table is. The library writes its rows (extension/session/table.cpp).
-- Its query gives what it holds: REFRESH changes nothing. Not for pg_dump, on purpose: the rows speak of
-- this server's clones, and a queued request restored elsewhere would set off a clone there.
CREATE FUNCTION @extschema@.pg_standby_clone_kept_records()
  RETURNS TABLE (
    id bigint, target text, state text, phase text, options jsonb, requested_by name,
    requested_at timestamptz, expires_at timestamptz, client_addr inet, destination text,
    slot_name text, started_at timestamptz, finished_at timestamptz, start_lsn pg_lsn,
    stop_lsn pg_lsn, timeline integer, streams integer, files_total bigint, files_done bigint,
    bytes_total bigint, bytes_done bigint, bytes_sent bigint, checksum_failures bigint, error text,
    phases jsonb, uuid uuid, method text, bytes_kept bigint)
  LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'pg_standby_clone_kept_records';
REVOKE ALL ON FUNCTION @extschema@.pg_standby_clone_kept_records() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_kept_records() IS 'what clone_records holds';

CREATE MATERIALIZED VIEW @extschema@.clone_records AS
  SELECT * FROM @extschema@.pg_standby_clone_kept_records();
REVOKE ALL ON @extschema@.clone_records FROM PUBLIC;
COMMENT ON MATERIALIZED VIEW @extschema@.clone_records IS
  'requests and history of clones made from this primary; read it through clone_status() and clone_history';
COMMENT ON COLUMN @extschema@.clone_records.state IS 'NULL: only keeps the number that was given last';
COMMENT ON COLUMN @extschema@.clone_records.options IS 'of a request; NULL: started on the standby host';
COMMENT ON COLUMN @extschema@.clone_records.uuid IS 'of a request: after a failover another may have its number';

-- Called by the helper. Open to PUBLIC because a role with only LOGIN and REPLICATION
-- calls it; the REPLICATION attribute (or superuser) is checked inside.
CREATE PROCEDURE @extschema@.pg_standby_clone_stream()
  LANGUAGE C AS 'MODULE_PATHNAME', 'pg_standby_clone_stream';
GRANT EXECUTE ON PROCEDURE @extschema@.pg_standby_clone_stream() TO PUBLIC;
COMMENT ON PROCEDURE @extschema@.pg_standby_clone_stream() IS
  'one connection of a clone; called by the pg_standby_clone program only';

CREATE FUNCTION @extschema@.pg_standby_clone_records(
    OUT id bigint, OUT target text, OUT state text, OUT phase text, OUT client_addr text,
    OUT destination text, OUT slot_name text, OUT started_at timestamptz,
    OUT finished_at timestamptz, OUT start_lsn pg_lsn, OUT stop_lsn pg_lsn, OUT timeline integer,
    OUT streams integer, OUT files_total bigint, OUT files_done bigint, OUT bytes_total bigint,
    OUT bytes_done bigint, OUT bytes_sent bigint, OUT throughput bigint, OUT eta interval,
    OUT checksum_failures bigint, OUT error text, OUT wal_retained bigint, OUT method text,
    OUT bytes_kept bigint)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 10
  AS 'MODULE_PATHNAME', 'pg_standby_clone_records';
REVOKE ALL ON FUNCTION @extschema@.pg_standby_clone_records() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_records() TO pg_monitor;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_records() IS
  'what clone_status() and clone_progress show';

CREATE FUNCTION @extschema@.pg_standby_clone_phase_records(
    OUT id bigint, OUT phase text, OUT started_at timestamptz, OUT finished_at timestamptz,
    OUT bytes bigint)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 40
  AS 'MODULE_PATHNAME', 'pg_standby_clone_phase_records';
REVOKE ALL ON FUNCTION @extschema@.pg_standby_clone_phase_records() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_phase_records() TO pg_monitor;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_phase_records() IS 'what clone_phases shows';

CREATE FUNCTION @extschema@.pg_standby_clone_stream_records(
    OUT id bigint, OUT stream integer, OUT pid integer, OUT file text, OUT bytes_done bigint,
    OUT bytes_sent bigint, OUT compression text, OUT waiting_for text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 10
  AS 'MODULE_PATHNAME', 'pg_standby_clone_stream_records';
REVOKE ALL ON FUNCTION @extschema@.pg_standby_clone_stream_records() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_stream_records() TO pg_monitor;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_stream_records() IS 'what clone_streams shows';

-- Called by `pg_standby_clone agent`. Open to PUBLIC because a role with only LOGIN and REPLICATION
-- calls them; the REPLICATION attribute (or superuser) is checked inside.
CREATE FUNCTION @extschema@.pg_standby_clone_agent_attach(
    target text, destination text, destination_state text, version text, activity text DEFAULT NULL)
  RETURNS void LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'pg_standby_clone_agent_attach';
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_agent_attach(text, text, text, text, text) TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_agent_attach(text, text, text, text, text) IS
  'makes this connection the agent of a target; called by the pg_standby_clone program only';

CREATE FUNCTION @extschema@.pg_standby_clone_agent_detach()
  RETURNS void LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'pg_standby_clone_agent_detach';
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_agent_detach() TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_agent_detach() IS
  'ends what pg_standby_clone_agent_attach() began; called by the pg_standby_clone program only';

CREATE FUNCTION @extschema@.pg_standby_clone_agent_next(
    target text, OUT id bigint, OUT options jsonb, OUT uuid uuid)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE ROWS 1
  AS 'MODULE_PATHNAME', 'pg_standby_clone_agent_next';
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_agent_next(text) TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_agent_next(text) IS
  'the request that the agent of this connection shall carry out next; called by the pg_standby_clone program only';

CREATE FUNCTION @extschema@.pg_standby_clone_agent_refuse(
    id bigint, error text, uuid uuid DEFAULT NULL)
  RETURNS boolean LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'pg_standby_clone_agent_refuse';
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_agent_refuse(bigint, text, uuid) TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_agent_refuse(bigint, text, uuid) IS
  'marks a request failed that the agent could not begin, false if it is not known; called by the pg_standby_clone program only';

CREATE FUNCTION @extschema@.pg_standby_clone_agent_records(
    OUT target text, OUT pid integer, OUT client_addr text, OUT connected_since timestamptz,
    OUT destination text, OUT destination_state text, OUT version text, OUT activity text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 4
  AS 'MODULE_PATHNAME', 'pg_standby_clone_agent_records';
REVOKE ALL ON FUNCTION @extschema@.pg_standby_clone_agent_records() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_agent_records() TO pg_monitor;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_agent_records() IS 'what clone_agents shows';

-- Asking and steering: for those who are granted EXECUTE.
CREATE FUNCTION @extschema@.request_standby_clone(target text, options jsonb DEFAULT '{}')
  RETURNS bigint LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'request_standby_clone';
REVOKE ALL ON FUNCTION @extschema@.request_standby_clone(text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.request_standby_clone(text, jsonb) IS
  'queues a clone for the agent of a target and returns its number; options: jobs, compress, max_rate, gentle, checkpoint, delta, start, expires';

CREATE FUNCTION @extschema@.cancel_standby_clone(id bigint)
  RETURNS boolean LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'cancel_standby_clone';
REVOKE ALL ON FUNCTION @extschema@.cancel_standby_clone(bigint) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.cancel_standby_clone(bigint) IS
  'ends a clone that runs or is queued; false if it has ended already';

CREATE FUNCTION @extschema@.pause_standby_clone(id bigint)
  RETURNS boolean LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'pause_standby_clone';
REVOKE ALL ON FUNCTION @extschema@.pause_standby_clone(bigint) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.pause_standby_clone(bigint) IS
  'stops the copying of a clone that runs, at most for pg_standby_clone.pause_timeout; false if it has ended';

CREATE FUNCTION @extschema@.resume_standby_clone(id bigint)
  RETURNS boolean LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'resume_standby_clone';
REVOKE ALL ON FUNCTION @extschema@.resume_standby_clone(bigint) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.resume_standby_clone(bigint) IS
  'lets a clone go on that pause_standby_clone() stopped; false if it has ended';

CREATE FUNCTION @extschema@.set_clone_rate(id bigint, max_rate text)
  RETURNS boolean LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'set_clone_rate';
REVOKE ALL ON FUNCTION @extschema@.set_clone_rate(bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.set_clone_rate(bigint, text) IS
  'limits what all streams of a clone that runs send, as --max-rate does (WAL is not counted); NULL: no limit; false if it has ended';

-- A procedure, so that it holds no snapshot while it waits. Neither SECURITY DEFINER nor SET, which
-- would make it atomic.
CREATE PROCEDURE @extschema@.wait_for_standby_clone(
    id bigint, timeout interval DEFAULT NULL, INOUT state text DEFAULT NULL)
  LANGUAGE C AS 'MODULE_PATHNAME', 'wait_for_standby_clone';
REVOKE ALL ON PROCEDURE @extschema@.wait_for_standby_clone(bigint, interval, text) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE @extschema@.wait_for_standby_clone(bigint, interval, text) TO pg_monitor;
COMMENT ON PROCEDURE @extschema@.wait_for_standby_clone(bigint, interval, text) IS
  'returns when a clone has ended, or after the timeout, with its state';

-- Every clone that is known, from shared memory and from clone_records. This has the last word
-- on those that have ended; what it says of others may be left over from a server that went away,
-- or from a request past its time. A standby shows its primary's rows as they are.
CREATE VIEW @extschema@.clone_list AS
  SELECT coalesce(r.id, t.id) AS id,
         coalesce(r.target, t.target) AS target,
         CASE WHEN t.is_ended THEN t.state WHEN r.target IS NOT NULL THEN r.state
              WHEN t.is_stale THEN 'failed' ELSE t.state END AS state,
         CASE WHEN t.is_ended OR r.target IS NULL THEN t.phase ELSE r.phase END AS phase,
         coalesce(r.client_addr::inet, t.client_addr) AS client_addr,
         coalesce(r.destination, t.destination) AS destination,
         coalesce(r.slot_name, t.slot_name) AS slot_name,
         coalesce(t.requested_at, r.started_at, t.started_at) AS requested_at,
         t.requested_by, t.options, t.expires_at,
         coalesce(r.started_at, t.started_at) AS started_at,
         coalesce(t.finished_at, r.finished_at) AS finished_at,
         coalesce(r.start_lsn, t.start_lsn) AS start_lsn,
         coalesce(r.stop_lsn, t.stop_lsn) AS stop_lsn,
         coalesce(r.timeline, t.timeline) AS timeline,
         coalesce(r.method, t.method) AS method,
         coalesce(r.streams, t.streams) AS streams,
         coalesce(r.files_total, t.files_total) AS files_total,
         coalesce(r.files_done, t.files_done) AS files_done,
         coalesce(r.bytes_total, t.bytes_total) AS bytes_total,
         coalesce(r.bytes_done, t.bytes_done) AS bytes_done,
         coalesce(r.bytes_kept, t.bytes_kept) AS bytes_kept,
         coalesce(r.bytes_sent, t.bytes_sent) AS bytes_sent,
         CASE WHEN t.is_ended THEN NULL ELSE r.throughput END AS throughput,
         CASE WHEN t.is_ended THEN NULL ELSE r.eta END AS eta,
         coalesce(r.checksum_failures, t.checksum_failures) AS checksum_failures,
         CASE WHEN t.is_ended THEN t.error WHEN r.target IS NOT NULL THEN r.error
              WHEN t.is_stale AND t.state = 'queued' THEN 'expired before an agent took it'
              WHEN t.is_stale THEN 'the server was restarted or crashed, or its library was replaced, during the clone'
              ELSE t.error END AS error,
         r.wal_retained
    FROM @extschema@.pg_standby_clone_records() AS r
    FULL JOIN (SELECT *, state IN ('completed', 'failed', 'cancelled') AS is_ended,
                      NOT pg_is_in_recovery() AND (state = 'running'
                        OR state = 'queued' AND expires_at <= clock_timestamp()) AS is_stale
                 FROM @extschema@.clone_records WHERE state IS NOT NULL) AS t ON t.id = r.id;
REVOKE ALL ON @extschema@.clone_list FROM PUBLIC;
GRANT SELECT ON @extschema@.clone_list TO pg_monitor;
COMMENT ON VIEW @extschema@.clone_list IS 'what clone_status() and clone_history show';

CREATE FUNCTION @extschema@.clone_status(
    id bigint DEFAULT NULL,
    OUT id bigint, OUT target text, OUT state text, OUT phase text, OUT client_addr inet,
    OUT destination text, OUT slot_name text, OUT requested_at timestamptz,
    OUT started_at timestamptz, OUT finished_at timestamptz, OUT start_lsn pg_lsn,
    OUT stop_lsn pg_lsn, OUT timeline integer, OUT method text, OUT streams integer,
    OUT files_total bigint, OUT files_done bigint, OUT bytes_total bigint, OUT bytes_done bigint,
    OUT bytes_kept bigint, OUT bytes_sent bigint, OUT throughput bigint, OUT eta interval,
    OUT checksum_failures bigint, OUT error text)
  RETURNS SETOF record LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
  SELECT c.id, c.target, c.state, c.phase, c.client_addr, c.destination, c.slot_name,
         c.requested_at, c.started_at, c.finished_at, c.start_lsn, c.stop_lsn, c.timeline, c.method,
         c.streams, c.files_total, c.files_done, c.bytes_total, c.bytes_done, c.bytes_kept,
         c.bytes_sent, c.throughput, c.eta, c.checksum_failures, c.error
    FROM @extschema@.clone_list AS c
   WHERE $1 IS NULL OR c.id = $1
   ORDER BY coalesce(c.started_at, c.requested_at) DESC, abs(c.id) DESC;
END;
REVOKE ALL ON FUNCTION @extschema@.clone_status(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.clone_status(bigint) TO pg_monitor;
COMMENT ON FUNCTION @extschema@.clone_status(bigint) IS
  'one row per clone made from this server, newest first: queued, live and ended; with a number, that clone';

CREATE VIEW @extschema@.clone_progress AS
  SELECT r.id, r.target, r.state, r.phase,
         round(100.0 * least(r.bytes_done, r.bytes_total) / nullif(r.bytes_total, 0), 1) AS percent,
         r.bytes_done, r.bytes_total, r.bytes_sent, r.throughput, r.eta,
         date_trunc('second', clock_timestamp() - r.started_at) AS elapsed,
         r.streams, r.wal_retained
    FROM @extschema@.pg_standby_clone_records() AS r
   WHERE r.state NOT IN ('completed', 'failed', 'cancelled');
REVOKE ALL ON @extschema@.clone_progress FROM PUBLIC;
GRANT SELECT ON @extschema@.clone_progress TO pg_monitor;
COMMENT ON VIEW @extschema@.clone_progress IS 'clones that run now, for \watch';

CREATE VIEW @extschema@.clone_streams AS
  SELECT * FROM @extschema@.pg_standby_clone_stream_records();
REVOKE ALL ON @extschema@.clone_streams FROM PUBLIC;
GRANT SELECT ON @extschema@.clone_streams TO pg_monitor;
COMMENT ON VIEW @extschema@.clone_streams IS 'a row per stream of each clone that runs now';

CREATE VIEW @extschema@.clone_phases AS
  SELECT r.id, r.phase, r.started_at, r.finished_at, r.bytes
    FROM @extschema@.pg_standby_clone_phase_records() AS r
  UNION ALL
  SELECT t.id, p.phase, p.started_at, p.finished_at, p.bytes
    FROM @extschema@.clone_records AS t,
         jsonb_to_recordset(t.phases) AS p(phase text, started_at timestamptz, finished_at timestamptz, bytes bigint)
   WHERE t.id NOT IN (SELECT p.id FROM @extschema@.pg_standby_clone_phase_records() AS p
                       WHERE p.id IS NOT NULL);
REVOKE ALL ON @extschema@.clone_phases FROM PUBLIC;
GRANT SELECT ON @extschema@.clone_phases TO pg_monitor;
COMMENT ON VIEW @extschema@.clone_phases IS 'a row per clone and phase it has reached';

CREATE VIEW @extschema@.clone_history AS
  SELECT id, target, state, phase, client_addr, destination, slot_name, requested_at, requested_by,
         options, started_at, finished_at, start_lsn, stop_lsn, timeline, method, streams, files_total,
         files_done, bytes_total, bytes_done, bytes_kept, bytes_sent, checksum_failures, error
    FROM @extschema@.clone_list
   WHERE state IN ('completed', 'failed', 'cancelled');
REVOKE ALL ON @extschema@.clone_history FROM PUBLIC;
GRANT SELECT ON @extschema@.clone_history TO pg_monitor;
COMMENT ON VIEW @extschema@.clone_history IS
  'clones that have ended, the newest pg_standby_clone.history_keep of them';

CREATE VIEW @extschema@.clone_agents AS
  SELECT a.target, a.pid, a.client_addr::inet AS client_addr, a.connected_since, a.destination,
         a.destination_state, a.activity, a.version
    FROM @extschema@.pg_standby_clone_agent_records() AS a;
REVOKE ALL ON @extschema@.clone_agents FROM PUBLIC;
GRANT SELECT ON @extschema@.clone_agents TO pg_monitor;
COMMENT ON VIEW @extschema@.clone_agents IS 'agents on standby hosts that are connected now and take requests';

-- Open to PUBLIC because the helper's role calls it before a clone; REPLICATION or
-- pg_monitor is checked inside. Rows with status 'fact' are for the program.
CREATE FUNCTION @extschema@.pg_standby_clone_preflight(
    OUT "check" text, OUT status text, OUT detail text, OUT hint text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE ROWS 40
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'pg_standby_clone_preflight';
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_preflight() TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_preflight() IS
  'what check_standby_clone() shows but for the files, and facts for the pg_standby_clone program';

-- Looks at every file: minutes, where there are millions. The program goes by the list that a clone gets.
CREATE FUNCTION @extschema@.pg_standby_clone_preflight_files(
    OUT "check" text, OUT status text, OUT detail text, OUT hint text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE ROWS 2
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'pg_standby_clone_preflight_files';
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_preflight_files() TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_preflight_files() IS
  'what check_standby_clone() shows of the files that a clone would copy';

CREATE FUNCTION @extschema@.check_standby_clone(
    OUT "check" text, OUT status text, OUT detail text, OUT hint text)
  RETURNS SETOF record LANGUAGE sql VOLATILE PARALLEL UNSAFE ROWS 20
BEGIN ATOMIC
  SELECT p."check", p.status, p.detail, p.hint
    FROM @extschema@.pg_standby_clone_preflight() AS p
   WHERE p.status <> 'fact'
  UNION ALL
  SELECT f."check", f.status, f.detail, f.hint
    FROM @extschema@.pg_standby_clone_preflight_files() AS f;
END;
GRANT EXECUTE ON FUNCTION @extschema@.check_standby_clone() TO PUBLIC;
COMMENT ON FUNCTION @extschema@.check_standby_clone() IS
  'what would stop a clone from this server: a row per check, with ok, warning or error';
