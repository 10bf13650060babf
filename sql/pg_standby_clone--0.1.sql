-- pg_standby_clone 0.1: the SQL interface. REVOKE stands beside each CREATE.
\echo Use "CREATE EXTENSION pg_standby_clone" to load this file. \quit

CREATE SEQUENCE @extschema@.clone_id_seq AS bigint;
REVOKE ALL ON SEQUENCE @extschema@.clone_id_seq FROM PUBLIC;
COMMENT ON SEQUENCE @extschema@.clone_id_seq IS
  'numbers of clones made from this primary; clones made from a standby have negative numbers of their own';

-- Called by the helper. Open to PUBLIC because a role with only LOGIN and REPLICATION
-- calls it; the REPLICATION attribute (or superuser) is checked inside.
CREATE PROCEDURE @extschema@.pg_standby_clone_stream()
  LANGUAGE C AS 'MODULE_PATHNAME', 'pg_standby_clone_stream';
COMMENT ON PROCEDURE @extschema@.pg_standby_clone_stream() IS
  'one connection of a clone; called by the pg_standby_clone program only';

CREATE FUNCTION @extschema@.pg_standby_clone_records(
    OUT id bigint, OUT target text, OUT state text, OUT phase text, OUT client_addr text,
    OUT destination text, OUT slot_name text, OUT started_at timestamptz,
    OUT finished_at timestamptz, OUT start_lsn pg_lsn, OUT stop_lsn pg_lsn, OUT timeline integer,
    OUT streams integer, OUT files_total bigint, OUT files_done bigint, OUT bytes_total bigint,
    OUT bytes_done bigint, OUT bytes_sent bigint, OUT throughput bigint, OUT eta interval,
    OUT checksum_failures bigint, OUT error text, OUT wal_retained bigint)
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

CREATE FUNCTION @extschema@.clone_status(
    id bigint DEFAULT NULL,
    OUT id bigint, OUT target text, OUT state text, OUT phase text, OUT client_addr text,
    OUT destination text, OUT slot_name text, OUT requested_at timestamptz,
    OUT started_at timestamptz, OUT finished_at timestamptz, OUT start_lsn pg_lsn,
    OUT stop_lsn pg_lsn, OUT timeline integer, OUT streams integer, OUT files_total bigint,
    OUT files_done bigint, OUT bytes_total bigint, OUT bytes_done bigint, OUT bytes_sent bigint,
    OUT throughput bigint, OUT eta interval, OUT checksum_failures bigint, OUT error text)
  RETURNS SETOF record LANGUAGE sql VOLATILE PARALLEL RESTRICTED ROWS 10
BEGIN ATOMIC
  SELECT r.id, r.target, r.state, r.phase, r.client_addr, r.destination, r.slot_name,
         r.started_at, r.started_at, r.finished_at, r.start_lsn, r.stop_lsn, r.timeline,
         r.streams, r.files_total, r.files_done, r.bytes_total, r.bytes_done, r.bytes_sent,
         r.throughput, r.eta, r.checksum_failures, r.error
    FROM @extschema@.pg_standby_clone_records() WITH ORDINALITY AS r
   WHERE $1 IS NULL OR r.id = $1
   ORDER BY r.ordinality;
END;
REVOKE ALL ON FUNCTION @extschema@.clone_status(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.clone_status(bigint) TO pg_monitor;
COMMENT ON FUNCTION @extschema@.clone_status(bigint) IS
  'one row per clone made from this server, newest first, live and ended; with a number, that clone';

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
  SELECT * FROM @extschema@.pg_standby_clone_phase_records();
REVOKE ALL ON @extschema@.clone_phases FROM PUBLIC;
GRANT SELECT ON @extschema@.clone_phases TO pg_monitor;
COMMENT ON VIEW @extschema@.clone_phases IS 'a row per clone and phase it has reached';
