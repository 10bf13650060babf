-- What 0.3 changes: requests and history lie where no publication finds them, client_addr is an inet,
-- and what must be public is granted by name. clone_status(), clone_history and clone_agents are made
-- anew: views of yours on them are to be dropped before.
\echo Use "ALTER EXTENSION pg_standby_clone UPDATE TO '0.3'" to load this file. \quit

SET LOCAL search_path TO pg_catalog, pg_temp;

DROP VIEW @extschema@.clone_history, @extschema@.clone_agents;
DROP FUNCTION @extschema@.clone_status(bigint), @extschema@.pg_standby_clone_agent_records(),
  @extschema@.pg_standby_clone_agent_attach(text, text, text, text),
  @extschema@.pg_standby_clone_agent_next(text), @extschema@.pg_standby_clone_agent_refuse(bigint, text);
DROP VIEW @extschema@.clone_list;

ALTER TABLE @extschema@.clone_records RENAME TO clone_records_0_2;
-- clone_progress leans on it until it leans on the new one: views of yours on clone_progress stay.
ALTER FUNCTION @extschema@.pg_standby_clone_records() RENAME TO pg_standby_clone_records_0_2;

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
  LANGUAGE sql STRICT VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
  SELECT t.id, t.target, t.state, t.phase, t.options, t.requested_by, t.requested_at, t.expires_at,
         CASE WHEN t.client_addr ~ '^[0-9a-fA-F.:]+$' THEN t.client_addr::inet END, t.destination, t.slot_name,
         t.started_at, t.finished_at, t.start_lsn, t.stop_lsn, t.timeline, t.streams, t.files_total,
         t.files_done, t.bytes_total, t.bytes_done, t.bytes_sent, t.checksum_failures, t.error,
         (SELECT jsonb_agg(to_jsonb(p) - 'id' ORDER BY p.started_at)
            FROM @extschema@.clone_record_phases AS p WHERE p.id = t.id),
         CASE WHEN t.options IS NOT NULL THEN gen_random_uuid() END, NULL::text, NULL::bigint
    FROM @extschema@.clone_records_0_2 AS t
  UNION ALL
  -- The number that was given last.
  SELECT s.last_value, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM @extschema@.clone_id_seq AS s
   WHERE s.is_called AND NOT EXISTS (SELECT FROM @extschema@.clone_records_0_2 AS t WHERE t.id >= s.last_value);
END;
REVOKE ALL ON FUNCTION @extschema@.pg_standby_clone_kept_records() FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_kept_records() IS 'what clone_records holds';

CREATE MATERIALIZED VIEW @extschema@.clone_records AS
  SELECT * FROM @extschema@.pg_standby_clone_kept_records();
-- Filled with what the tables had. From here on its query gives what it holds.
CREATE OR REPLACE FUNCTION @extschema@.pg_standby_clone_kept_records()
  RETURNS TABLE (
    id bigint, target text, state text, phase text, options jsonb, requested_by name,
    requested_at timestamptz, expires_at timestamptz, client_addr inet, destination text,
    slot_name text, started_at timestamptz, finished_at timestamptz, start_lsn pg_lsn,
    stop_lsn pg_lsn, timeline integer, streams integer, files_total bigint, files_done bigint,
    bytes_total bigint, bytes_done bigint, bytes_sent bigint, checksum_failures bigint, error text,
    phases jsonb, uuid uuid, method text, bytes_kept bigint)
  LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'pg_standby_clone_kept_records';
REVOKE ALL ON @extschema@.clone_records FROM PUBLIC;
COMMENT ON MATERIALIZED VIEW @extschema@.clone_records IS
  'requests and history of clones made from this primary; read it through clone_status() and clone_history';
COMMENT ON COLUMN @extschema@.clone_records.state IS 'NULL: only keeps the number that was given last';
COMMENT ON COLUMN @extschema@.clone_records.options IS 'of a request; NULL: started on the standby host';
COMMENT ON COLUMN @extschema@.clone_records.uuid IS 'of a request: after a failover another may have its number';

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

GRANT EXECUTE ON PROCEDURE @extschema@.pg_standby_clone_stream() TO PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_agent_detach() TO PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_preflight() TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_preflight() IS
  'what check_standby_clone() shows but for the files, and facts for the pg_standby_clone program';
GRANT EXECUTE ON FUNCTION @extschema@.check_standby_clone() TO PUBLIC;

CREATE FUNCTION @extschema@.pg_standby_clone_agent_attach(
    target text, destination text, destination_state text, version text, activity text DEFAULT NULL)
  RETURNS void LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE
  AS 'MODULE_PATHNAME', 'pg_standby_clone_agent_attach';
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_agent_attach(text, text, text, text, text) TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_agent_attach(text, text, text, text, text) IS
  'makes this connection the agent of a target; called by the pg_standby_clone program only';

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

COMMENT ON FUNCTION @extschema@.request_standby_clone(text, jsonb) IS
  'queues a clone for the agent of a target and returns its number; options: jobs, compress, max_rate, gentle, checkpoint, delta, start, expires';

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

-- Its operators were those of whoever could create in this schema.
CREATE OR REPLACE VIEW @extschema@.clone_progress AS
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

CREATE OR REPLACE VIEW @extschema@.clone_phases AS
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

-- Looks at every file: minutes, where there are millions. The program goes by the list that a clone gets.
CREATE FUNCTION @extschema@.pg_standby_clone_preflight_files(
    OUT "check" text, OUT status text, OUT detail text, OUT hint text)
  RETURNS SETOF record LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE ROWS 2
  SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', 'pg_standby_clone_preflight_files';
GRANT EXECUTE ON FUNCTION @extschema@.pg_standby_clone_preflight_files() TO PUBLIC;
COMMENT ON FUNCTION @extschema@.pg_standby_clone_preflight_files() IS
  'what check_standby_clone() shows of the files that a clone would copy';

CREATE OR REPLACE FUNCTION @extschema@.check_standby_clone(
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

DROP FUNCTION @extschema@.pg_standby_clone_records_0_2();
DROP TABLE @extschema@.clone_record_phases, @extschema@.clone_records_0_2;
DROP SEQUENCE @extschema@.clone_id_seq;
