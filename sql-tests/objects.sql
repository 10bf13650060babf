-- The objects of the extension: what there is, its columns, that each has a comment, and that it
-- can be dropped and made again, in any schema.
CREATE EXTENSION pg_standby_clone;
SELECT pg_describe_object(classid, objid, objsubid) COLLATE "C" AS object,
       obj_description(objid, classid::regclass::name) IS NOT NULL AS has_comment
  FROM pg_catalog.pg_depend d
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_standby_clone')
   AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
 ORDER BY 1;
SELECT extversion, extrelocatable FROM pg_extension WHERE extname = 'pg_standby_clone';

-- Columns, in their order.
SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS clone_progress
  FROM pg_attribute WHERE attrelid = 'clone_progress'::regclass;
SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS clone_streams
  FROM pg_attribute WHERE attrelid = 'clone_streams'::regclass;
SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS clone_phases
  FROM pg_attribute WHERE attrelid = 'clone_phases'::regclass;
SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS clone_history
  FROM pg_attribute WHERE attrelid = 'clone_history'::regclass;
SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS clone_agents
  FROM pg_attribute WHERE attrelid = 'clone_agents'::regclass;
SELECT array_to_string(proargnames, ' ') AS clone_status FROM pg_proc WHERE oid = 'clone_status(bigint)'::regprocedure;

-- No clone was ever made from this server.
SELECT * FROM clone_progress;
SELECT * FROM clone_streams;
SELECT * FROM clone_phases;
SELECT * FROM clone_history;
SELECT * FROM clone_agents;
SELECT count(*) FROM clone_status();
SELECT count(*) FROM clone_status(1);
SELECT count(*) FROM clone_status(NULL);

-- Settings.
SELECT name, setting, unit, context, min_val, max_val FROM pg_settings WHERE name ~ '^pg_standby_clone\.' ORDER BY name;
SET pg_standby_clone.max_streams = 3;
SET pg_standby_clone.no_such_setting = 3;

DROP EXTENSION pg_standby_clone;
CREATE SCHEMA "Other Schema";
CREATE EXTENSION pg_standby_clone SCHEMA "Other Schema";
SELECT count(*) FROM "Other Schema".clone_status();
SELECT count(*) FROM "Other Schema".clone_progress;
DROP EXTENSION pg_standby_clone;
DROP SCHEMA "Other Schema";
