-- ALTER EXTENSION ... UPDATE leads to the very objects that a fresh install makes; what users have
-- built on the old ones stays, and the old objects work with the new library before it.
CREATE SCHEMA clones;
CREATE EXTENSION pg_standby_clone SCHEMA clones VERSION '0.1';
SELECT count(*) FROM clones.clone_status();
SELECT count(*) FROM clones.clone_progress;
SELECT count(*) FROM clones.clone_phases;
CREATE VIEW on_top AS SELECT s.id, p.phase FROM clones.clone_status() s JOIN clones.clone_phases p USING (id);

CREATE VIEW extension_objects AS
  SELECT pg_describe_object(d.classid, d.objid, 0) COLLATE "C" AS object,
         obj_description(d.objid, d.classid::regclass::name) AS comment,
         CASE WHEN d.classid = 'pg_proc'::regclass THEN pg_get_functiondef(d.objid)
              WHEN c.relkind = 'v' THEN pg_get_viewdef(d.objid) END AS definition,
         coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text COLLATE "C") FROM unnest(p.proacl) a),
                  (SELECT string_agg(a::text, ' ' ORDER BY a::text COLLATE "C") FROM unnest(c.relacl) a)) AS rights,
         (SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull,
                 pg_get_expr(f.adbin, f.adrelid), col_description(attrelid, attnum)), ', ' ORDER BY attnum)
            FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
           WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
         CASE WHEN c.relkind = 'm' THEN pg_get_viewdef(d.objid) END AS query,
         (SELECT string_agg(concat_ws(' ', conname, pg_get_constraintdef(k.oid)), ', ' ORDER BY conname)
            FROM pg_constraint k WHERE conrelid = c.oid) AS constraints,
         (SELECT string_agg(concat_ws(' ', pg_get_indexdef(indexrelid), obj_description(indexrelid, 'pg_class')), ', '
                            ORDER BY indexrelid::regclass::text)
            FROM pg_index i WHERE indrelid = c.oid) AS indexes,
         (SELECT concat_ws(' ', e.extversion, e.extrelocatable, e.extconfig) FROM pg_extension e WHERE e.oid = d.refobjid) AS extension
    FROM pg_depend d LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
         LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
     AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_standby_clone');

ALTER EXTENSION pg_standby_clone UPDATE TO '0.2';
SELECT count(*) FROM on_top;
SELECT count(*) FROM clones.clone_history;
-- With requests and history in it; the library is of 0.3 already.
SELECT clones.request_standby_clone('s1');
INSERT INTO clones.clone_records (id, target, state, options, requested_at, expires_at, client_addr)
  VALUES (nextval('clones.clone_id_seq'), 'ended', 'failed', '{}', '2026-01-02 03:04:05+00', '2026-01-02 04:04:05+00', 'a name'),
         (nextval('clones.clone_id_seq'), 'waits', 'queued', '{"jobs": 2}', clock_timestamp(), 'infinity', NULL),
         (nextval('clones.clone_id_seq'), 'byhand', 'completed', NULL, NULL, NULL, '2001:db8::1');
INSERT INTO clones.clone_record_phases VALUES (3, 'wal', '2026-01-02 03:05:00.5+00', '2026-01-02 03:06:00+00', 7),
  (3, 'copying', '2026-01-02 03:04:00+00', '2026-01-02 03:05:00.5+00', 42);
SELECT nextval('clones.clone_id_seq');
-- What users have built on clone_status() goes first: the type of client_addr changes.
-- (From 18 on the line of the script is said, too.)
\set SHOW_CONTEXT never
ALTER EXTENSION pg_standby_clone UPDATE;
DROP VIEW on_top;
CREATE VIEW on_top AS SELECT phase FROM clones.clone_phases UNION SELECT phase FROM clones.clone_progress;
ALTER EXTENSION pg_standby_clone UPDATE;
SELECT extversion FROM pg_extension WHERE extname = 'pg_standby_clone';
SELECT id, target, state, options, client_addr, uuid IS NOT NULL AS is_request FROM clones.clone_records ORDER BY id;
SELECT id, phase, finished_at - started_at AS took, bytes FROM clones.clone_phases ORDER BY started_at;
SELECT clones.cancel_standby_clone(2);
SET client_min_messages = error;
SELECT clones.request_standby_clone('s1');
RESET client_min_messages;
SELECT id, target, state FROM clones.clone_status() ORDER BY id;
CREATE TABLE updated AS TABLE extension_objects;
DROP VIEW on_top;
DROP EXTENSION pg_standby_clone;
CREATE EXTENSION pg_standby_clone SCHEMA clones;
CREATE TABLE fresh AS TABLE extension_objects;
SELECT count(*) > 20 AS there_are_objects FROM fresh;
SELECT 'only updated' AS side, * FROM (TABLE updated EXCEPT TABLE fresh) s
UNION ALL
SELECT 'only fresh', * FROM (TABLE fresh EXCEPT TABLE updated) s;

DROP TABLE updated, fresh;
DROP VIEW extension_objects;
DROP EXTENSION pg_standby_clone;
DROP SCHEMA clones;
