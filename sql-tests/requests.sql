-- request_standby_clone() and what steers: each error, each state of a request, who may. The agent's
-- functions are called here as its program calls them.
CREATE EXTENSION pg_standby_clone;
CREATE ROLE regress_clone_asker LOGIN;
CREATE ROLE regress_clone_agent LOGIN REPLICATION;
CREATE ROLE regress_clone_monitor LOGIN IN ROLE pg_monitor;

-- Options: a name or value that is not right is an error at once.
SELECT request_standby_clone('s1', '{"job": 3}');
SELECT request_standby_clone('s1', '{"directory": "/srv/s1"}');
SELECT request_standby_clone('s1', '[1]');
SELECT request_standby_clone('s1', '"jobs"');
SELECT request_standby_clone('s1', '{"jobs": 0}');
SELECT request_standby_clone('s1', '{"jobs": 65}');
SELECT request_standby_clone('s1', '{"jobs": 1.5}');
SELECT request_standby_clone('s1', '{"jobs": "many"}');
SELECT request_standby_clone('s1', '{"jobs": {"n": 1}}');
SELECT request_standby_clone('s1', '{"jobs": null}');
SELECT request_standby_clone('s1', '{"compress": "gzip"}');
SELECT request_standby_clone('s1', '{"compress": "zstd:20"}');
SELECT request_standby_clone('s1', '{"compress": "zstd:"}');
SELECT request_standby_clone('s1', '{"max_rate": 100}');
SELECT request_standby_clone('s1', '{"max_rate": "31k"}');
SELECT request_standby_clone('s1', '{"max_rate": "10G"}');
SELECT request_standby_clone('s1', '{"checkpoint": "slow"}');
SELECT request_standby_clone('s1', '{"delta": "yes"}');
SELECT request_standby_clone('s1', '{"start": 1}');
SELECT request_standby_clone('s1', '{"expires": "soon"}');
SELECT request_standby_clone('s1', '{"expires": "-1 hour"}');
SELECT request_standby_clone('s1', '{"expires": 5}');
SELECT request_standby_clone('');
SELECT request_standby_clone(repeat('x', 64));
SELECT request_standby_clone(NULL);
SELECT count(*) FROM clone_status();

-- No agent: a warning, and it waits. Detail with the time left out.
\set VERBOSITY terse
SELECT request_standby_clone('s1', '{"jobs": "auto", "compress": "zstd:3", "max_rate": "10M", "gentle": true, "checkpoint": "spread", "delta": true, "start": true, "expires": "2 hours"}') AS first \gset
\set VERBOSITY default
SELECT :first AS id, target, state, phase, requested_at IS NOT NULL, started_at, finished_at, error FROM clone_status(:first);
SELECT count(*) FROM clone_progress;
SELECT count(*) FROM clone_history;
SELECT expires_at - requested_at < interval '2 hours 1 minute' AS expires FROM clone_list;
-- One at a time for each target.
SELECT request_standby_clone('s1');
SELECT pause_standby_clone(:first);
SELECT set_clone_rate(:first, '1M');
-- Rolled back: never asked.
\set VERBOSITY terse
BEGIN;
SELECT request_standby_clone('s2') IS NOT NULL AS is_number;
ROLLBACK;
\set VERBOSITY default
SELECT count(*) FROM clone_status() WHERE target = 's2';

-- The agent.
SET ROLE regress_clone_agent;
SELECT pg_standby_clone_agent_attach('s1', 'host:/srv/s1', 'empty', '0.1.0');
SELECT pg_standby_clone_agent_attach('s1', 'host:/srv/s1', 'stopped standby', '0.1.0');
SELECT pg_standby_clone_agent_attach('', 'host:/srv/s1', 'empty', '0.1.0');
SELECT * FROM clone_agents;
RESET ROLE;
SELECT target, pid = pg_backend_pid() AS is_me, client_addr, connected_since IS NOT NULL AS since, destination, destination_state, activity, version
  FROM clone_agents;
SET ROLE regress_clone_agent;
SELECT id = :first AS is_first, options FROM pg_standby_clone_agent_next('s1');
SELECT * FROM pg_standby_clone_agent_next('s2');
SELECT * FROM clone_records;
SELECT pg_standby_clone_agent_refuse(:first, 'the directory is not empty');
SELECT pg_standby_clone_agent_refuse(:first, 'a second time changes nothing');
SELECT pg_standby_clone_agent_refuse(999, 'no such');
-- Of another target, and what is no request of this name's.
RESET ROLE;
\set VERBOSITY terse
SELECT request_standby_clone('s2') AS second \gset
\set VERBOSITY default
SELECT uuid AS second_uuid FROM clone_records WHERE id = :second \gset
SET ROLE regress_clone_agent;
SELECT pg_standby_clone_agent_refuse(:second, 'not mine');
SELECT pg_standby_clone_agent_refuse(:second, 'not mine', :'second_uuid');
SELECT pg_standby_clone_agent_refuse(:second, 'another of this number', '00000000-0000-0000-0000-000000000000');
RESET ROLE;
SELECT state, cancel_standby_clone(id) FROM clone_status(:second);
SET ROLE regress_clone_agent;
SELECT * FROM pg_standby_clone_agent_next('s1');
RESET ROLE;
SELECT state, error, finished_at IS NOT NULL AS finished FROM clone_status(:first);
-- With an agent there is no warning.
SELECT request_standby_clone('s1') IS NOT NULL AS is_number;
SELECT pg_standby_clone_agent_detach();
SELECT count(*) FROM clone_agents;

-- Cancelled while it waits.
SELECT cancel_standby_clone(max(id)) FROM clone_status();
SELECT cancel_standby_clone(max(id)) FROM clone_status();
SELECT state, phase FROM clone_status() LIMIT 1;
SELECT cancel_standby_clone(999);
SELECT cancel_standby_clone(-1);
SELECT pause_standby_clone(999);
SELECT resume_standby_clone(999);
SELECT set_clone_rate(999, '1M');
SELECT set_clone_rate(1, 'fast');
SELECT set_clone_rate(NULL, '1M');

-- Past its time.
\set VERBOSITY terse
SELECT request_standby_clone('s3', '{"expires": "1 millisecond"}') AS third \gset
\set VERBOSITY default
SELECT pg_sleep(0.01);
SELECT state, error FROM clone_status(:third);
SELECT count(*) FROM pg_standby_clone_agent_next('s3');
SELECT state, error FROM clone_records WHERE id = :third;
-- Who refreshes all materialized views changes nothing.
REFRESH MATERIALIZED VIEW clone_records;
SELECT state, error FROM clone_records WHERE id = :third;
SELECT state, error FROM clone_history WHERE id = :third;

-- Waiting.
CALL wait_for_standby_clone(:third);
CALL wait_for_standby_clone(999);
CALL wait_for_standby_clone(NULL);
\set VERBOSITY terse
SELECT request_standby_clone('s4') AS fourth \gset
\set VERBOSITY default
CALL wait_for_standby_clone(:fourth, '10 milliseconds');
BEGIN;
CALL wait_for_standby_clone(:fourth, '10 milliseconds');
ROLLBACK;
SET statement_timeout = '300ms';
CALL wait_for_standby_clone(:fourth);
RESET statement_timeout;

-- Rights: nobody by default; whom EXECUTE is granted, with nothing else.
SET ROLE regress_clone_asker;
SELECT request_standby_clone('s5');
SELECT cancel_standby_clone(1);
SELECT pause_standby_clone(1);
SELECT resume_standby_clone(1);
SELECT set_clone_rate(1, '1M');
CALL wait_for_standby_clone(1);
SELECT * FROM clone_history;
SELECT * FROM clone_agents;
SELECT * FROM clone_list;
SELECT * FROM clone_records;
SELECT pg_standby_clone_agent_attach('s1', '', '', '');
SELECT * FROM pg_standby_clone_agent_next('s1');
SELECT pg_standby_clone_agent_refuse(1, 'no');
RESET ROLE;
GRANT EXECUTE ON FUNCTION request_standby_clone(text, jsonb), cancel_standby_clone(bigint) TO regress_clone_asker;
SET ROLE regress_clone_asker;
\set VERBOSITY terse
SELECT request_standby_clone('s5') AS fifth \gset
\set VERBOSITY default
SELECT cancel_standby_clone(:fifth);
RESET ROLE;
SELECT target, requested_by, error FROM clone_history WHERE id = :fifth;
SET ROLE regress_clone_monitor;
SELECT count(*) > 3 AS sees FROM clone_status();
SELECT count(*) > 3 AS sees FROM clone_history;
SELECT count(*) FROM clone_agents;
CALL wait_for_standby_clone(:fifth);
SELECT * FROM clone_records;
SELECT cancel_standby_clone(:fifth);
RESET ROLE;

-- A search_path of the caller's leads nowhere.
CREATE SCHEMA trap;
CREATE FUNCTION trap.nextval(regclass) RETURNS bigint LANGUAGE sql AS 'SELECT 666::bigint';
CREATE TABLE trap.clone_records (id bigint);
SET search_path = trap, pg_catalog, public;
\set VERBOSITY terse
SELECT public.request_standby_clone('s6') < 666 AS is_ours;
\set VERBOSITY default
RESET search_path;
DROP SCHEMA trap CASCADE;

-- What steers runs as its owner, with a fixed search_path.
SELECT prosecdef, proconfig FROM pg_proc WHERE proname IN ('request_standby_clone', 'cancel_standby_clone',
  'pause_standby_clone', 'resume_standby_clone', 'set_clone_rate') GROUP BY 1, 2;

REVOKE ALL ON FUNCTION request_standby_clone(text, jsonb), cancel_standby_clone(bigint) FROM regress_clone_asker;
DROP EXTENSION pg_standby_clone;
DROP ROLE regress_clone_asker;
DROP ROLE regress_clone_agent;
DROP ROLE regress_clone_monitor;
