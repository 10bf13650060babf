-- Who may create in the extension's schema: nothing of his is found by the extension's objects, neither when
-- they are made nor when they are updated, and so nothing of his is run by whoever looks.
CREATE SCHEMA shared;
-- Each of these is a better match than what pg_catalog has, and says so when it is run.
CREATE FUNCTION shared.run() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'a stranger''s code was run'; END $$;
DO $$
DECLARE
  pair text[];
BEGIN
  FOREACH pair SLICE 1 IN ARRAY ARRAY[['numeric', 'bigint'], ['numeric', 'integer'], ['text', 'text'], ['bigint', 'integer'],
    ['text', 'name'], ['timestamptz', 'timestamptz'], ['timestamptz', 'interval'], ['jsonb', 'text'], ['bigint', 'numeric']] LOOP
    EXECUTE format('CREATE FUNCTION shared.f(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM shared.run(); END $f$',
      pair[1], pair[2], CASE WHEN pair[1] = 'numeric' THEN 'numeric' ELSE 'boolean' END);
    EXECUTE format('CREATE OPERATOR shared.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = shared.f)',
      CASE pair[1] WHEN 'numeric' THEN '*' ELSE '=' END, pair[1], pair[2]);
    IF pair[1] = 'numeric' THEN
      EXECUTE format('CREATE OPERATOR shared./ (LEFTARG = %s, RIGHTARG = %s, FUNCTION = shared.f)', pair[1], pair[2]);
    ELSE
      EXECUTE format('CREATE OPERATOR shared.<> (LEFTARG = %s, RIGHTARG = %s, FUNCTION = shared.f)', pair[1], pair[2]);
      EXECUTE format('CREATE OPERATOR shared.<= (LEFTARG = %s, RIGHTARG = %s, FUNCTION = shared.f)', pair[1], pair[2]);
    END IF;
  END LOOP;
END $$;
CREATE FUNCTION shared.abs(bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM shared.run(); END $$;
CREATE FUNCTION shared.date_trunc(text, interval) RETURNS interval LANGUAGE plpgsql AS $$ BEGIN PERFORM shared.run(); END $$;
CREATE FUNCTION shared.round(numeric, integer) RETURNS numeric LANGUAGE plpgsql AS $$ BEGIN PERFORM shared.run(); END $$;
CREATE FUNCTION shared.jsonb_to_recordset(jsonb) RETURNS SETOF record LANGUAGE plpgsql AS $$ BEGIN PERFORM shared.run(); END $$;

-- What an object of the extension uses that is neither of pg_catalog (which is pinned, and not in pg_depend)
-- nor of the extension.
CREATE VIEW strangers AS
  WITH members AS (
    SELECT classid, objid FROM pg_depend
     WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
       AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_standby_clone')),
  parts AS (
    SELECT classid, objid FROM members
    UNION SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN members m ON m.classid = 'pg_class'::regclass AND m.objid = r.ev_class
    UNION SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a JOIN members m ON m.classid = 'pg_class'::regclass AND m.objid = a.adrelid
    UNION SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint c JOIN members m ON m.classid = 'pg_class'::regclass AND m.objid = c.conrelid)
  SELECT pg_describe_object(d.classid, d.objid, 0) AS object, pg_describe_object(d.refclassid, d.refobjid, 0) AS uses
    FROM parts p JOIN pg_depend d ON d.classid = p.classid AND d.objid = p.objid
   WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_cast'::regclass, 'pg_collation'::regclass)
     AND NOT EXISTS (SELECT FROM members m WHERE m.classid = d.refclassid AND m.objid = d.refobjid)
     AND NOT EXISTS (SELECT FROM pg_type t JOIN members m ON m.classid = 'pg_class'::regclass AND m.objid = t.typrelid
                      WHERE d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid);
-- The definitions, as one reads them who has the strangers in his path.
CREATE FUNCTION qualified() RETURNS TABLE (object text, part text) LANGUAGE sql SET search_path = shared, pg_catalog AS $$
  SELECT c.oid::regclass::text, m[1]
    FROM pg_catalog.pg_class c, pg_catalog.regexp_matches(pg_catalog.pg_get_viewdef(c.oid), '(OPERATOR\(shared|shared\.(?:abs|round|date_trunc|jsonb_to_recordset))', 'g') m
   WHERE c.relkind IN ('v', 'm') AND c.relnamespace = 'shared'::pg_catalog.regnamespace $$;

CREATE EXTENSION pg_standby_clone SCHEMA shared;
TABLE strangers;
SELECT * FROM qualified();
SELECT count(*) FROM shared.clone_progress;
SELECT count(*) FROM shared.clone_status();
SELECT count(*) FROM shared.clone_phases;
DROP EXTENSION pg_standby_clone;
-- 0.1 and 0.2 had one; the update is rid of it.
CREATE EXTENSION pg_standby_clone SCHEMA shared VERSION '0.2';
SELECT count(*) > 0 AS had_strangers FROM strangers;
ALTER EXTENSION pg_standby_clone UPDATE;
TABLE strangers;
SELECT * FROM qualified();

-- What the program's role must be able to call is granted by name: default privileges may be anything.
SELECT string_agg(p.oid::regprocedure::text, ' ' ORDER BY p.oid::regprocedure::text COLLATE "C") AS open_to_all
  FROM pg_proc p WHERE pronamespace = 'shared'::regnamespace AND proname ~ 'standby_clone' AND proacl::text ~ '[{,]=X/';
DROP EXTENSION pg_standby_clone;
BEGIN;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE EXTENSION pg_standby_clone SCHEMA shared;
SELECT string_agg(p.oid::regprocedure::text, ' ' ORDER BY p.oid::regprocedure::text COLLATE "C") AS open_to_all
  FROM pg_proc p WHERE pronamespace = 'shared'::regnamespace AND proname ~ 'standby_clone' AND proacl::text ~ '[{,]=X/';
ROLLBACK;
DROP VIEW strangers;
DROP FUNCTION qualified();
SET client_min_messages = warning;
DROP SCHEMA shared CASCADE;
