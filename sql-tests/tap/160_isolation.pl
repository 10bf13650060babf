# A clone keeps out of everybody's way and lets nobody into its own: it holds no xmin and hinders no DDL;
# settings of its role and database do not disturb it, and nothing that somebody planted where it might
# look is called.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "log_min_messages = warning\n");
fill_primary($primary, rows => 5000);
sub value { return $primary->safe_psql('postgres', $_[0]) }

# --- a role and a database that make everything hard ----------------------------------------

# This test's own sessions are not to be disturbed: a role of its own, which is not the one that owns
# the server, as the clone worker is run by that.
value(<<'SQL');
CREATE ROLE tester LOGIN SUPERUSER;
ALTER ROLE tester SET search_path = public, pg_catalog;
ALTER ROLE tester SET statement_timeout = 0;
ALTER ROLE tester SET default_transaction_read_only = off;
SQL
# Functions and operators of everyday, to be found before those of pg_catalog: whoever calls one leaves a
# mark in the log.
value(<<'SQL');
CREATE SCHEMA planted;
GRANT USAGE ON SCHEMA planted TO PUBLIC;
CREATE FUNCTION planted.mark() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS
  $$ BEGIN RAISE WARNING 'TRAPPED % in %', current_user, current_query(); END $$;
DO $do$
DECLARE types text[]; operator text;
BEGIN
  FOREACH types SLICE 1 IN ARRAY ARRAY[['name', 'name'], ['text', 'text'], ['name', 'text'], ['oid', 'oid'],
                                       ['bigint', 'bigint'], ['bigint', 'integer']] LOOP
    FOREACH operator IN ARRAY ARRAY['=', '<>', '~', '||'] LOOP
      EXECUTE format('CREATE OR REPLACE FUNCTION planted.compare(a %1$s, b %2$s) RETURNS boolean LANGUAGE plpgsql
        SET search_path = pg_catalog AS $$ BEGIN PERFORM planted.mark(); RETURN a::text = b::text; END $$',
        types[1], types[2]);
      EXECUTE format('CREATE OPERATOR planted.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = planted.compare)',
        operator, types[1], types[2]);
    END LOOP;
  END LOOP;
END $do$;
CREATE FUNCTION planted.pg_backup_start(text, boolean DEFAULT false) RETURNS pg_lsn LANGUAGE plpgsql AS
  $$ BEGIN PERFORM planted.mark(); RETURN '0/1'; END $$;
CREATE FUNCTION planted.pg_backup_stop(boolean DEFAULT false) RETURNS pg_lsn LANGUAGE plpgsql AS
  $$ BEGIN PERFORM planted.mark(); RETURN '0/1'; END $$;
CREATE FUNCTION planted.nextval(regclass) RETURNS bigint LANGUAGE plpgsql AS
  $$ BEGIN PERFORM planted.mark(); RETURN 1; END $$;
CREATE FUNCTION planted.now() RETURNS timestamptz LANGUAGE plpgsql AS
  $$ BEGIN PERFORM planted.mark(); RETURN pg_catalog.clock_timestamp(); END $$;
CREATE FUNCTION planted.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS
  $$ BEGIN PERFORM planted.mark(); RETURN pg_catalog.now(); END $$;
CREATE FUNCTION planted.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN PERFORM planted.mark(); RETURN $2; END $$;
CREATE VIEW planted.pg_extension AS SELECT 'pg_standby_clone'::name AS extname, 1::oid AS extnamespace;
CREATE VIEW planted.pg_roles AS SELECT 1::oid AS oid, 'hindered'::name AS rolname, planted.mark()::text AS mark;
SQL
value(<<'SQL');
CREATE ROLE hindered LOGIN REPLICATION CONNECTION LIMIT 5;
GRANT pg_read_all_stats TO hindered;
ALTER ROLE hindered SET search_path = planted, pg_catalog, nowhere;
ALTER ROLE hindered SET statement_timeout = '1s';
ALTER ROLE hindered SET lock_timeout = '1s';
ALTER ROLE hindered SET idle_in_transaction_session_timeout = '1s';
ALTER ROLE hindered SET idle_session_timeout = '1s';
ALTER ROLE hindered SET default_transaction_read_only = on;
ALTER ROLE hindered SET default_transaction_isolation = 'serializable';
ALTER ROLE hindered SET client_encoding = 'EUC_JIS_2004';
ALTER ROLE hindered SET datestyle = 'German';
ALTER ROLE hindered SET bytea_output = 'escape';
ALTER ROLE hindered SET synchronous_commit = 'remote_apply';
SQL
# 19 has no other strings any more.
my @own_strings = major_of($primary) < 19 ? ('standard_conforming_strings = off') : ();
value("ALTER ROLE hindered SET $_") for @own_strings;
my $has_transaction_timeout =
  value(q(SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'));
value(q(ALTER ROLE hindered SET transaction_timeout = '1s')) if $has_transaction_timeout;
# The database's settings meet the clone worker, which has no role's.
value("ALTER DATABASE postgres SET $_") for @own_strings;
value(<<'SQL');
ALTER DATABASE postgres SET search_path = planted, pg_catalog;
ALTER DATABASE postgres SET statement_timeout = '1s';
ALTER DATABASE postgres SET lock_timeout = '1s';
ALTER DATABASE postgres SET default_transaction_read_only = on;
SQL
$ENV{PGUSER} = 'tester';

my ($rc, $out, $err) = $primary->psql('postgres', q(SELECT now(); SELECT 'a'::text = 'b'), extra_params => [ '-U', 'hindered' ]);
is(scalar(() = $err =~ /TRAPPED hindered/g), 2, 'what is planted is found by who does not take care') or diag($err);
my $log_start = -s $primary->logfile;

# --- a clone, and what others do meanwhile ----------------------------------------------------

my $standby = new_place();
my $run = start_clone($primary, $standby, '-N', '-U', 'hindered', '-j', '3', '-r', '2M', '--start', '--no-slot',
	'--config-file', own_config($standby));

# A statement has a snapshot while it runs; what would hold vacuum up is one that stays.
my (%since, %names);
my $longest = 0;
sub watch_snapshots
{
	my $now = time();
	my %seen;
	for (split /\n/, value(q(SELECT pid, coalesce(backend_xmin::text, backend_xid::text, ''),
		CASE backend_type WHEN 'client backend' THEN split_part(query, chr(40), 1) ELSE backend_type END
		FROM pg_stat_activity WHERE application_name = 'pg_standby_clone' OR backend_type = 'standby clone worker')))
	{
		my ($pid, $xmin, $name) = split /\|/;
		$names{$name} = 1;
		$seen{"$pid $xmin"} = $since{"$pid $xmin"} // $now if $xmin ne '';
	}
	%since = %seen;
	for (values %seen) { $longest = $now - $_ if $now - $_ > $longest }
	return;
}
my $copying_since = 0;
wait_until('the clone copies', sub {
	watch_snapshots();
	die 'the clone ended early: ' . $run->err if !$run->is_running;
	$copying_since = time();
	value(q(SELECT count(*) FROM clone_progress WHERE phase = 'copying' AND bytes_done > 0)) eq '1' });

sub unhindered
{
	my ($limit, $what, $code) = @_;
	watch_snapshots();
	within($limit, $what, $code);
	return watch_snapshots();
}
unhindered(10, 'VACUUM', sub {
	value('CREATE TABLE dead AS SELECT n FROM generate_series(1, 1000) n');
	value('DELETE FROM dead');
	$primary->psql('postgres', 'VACUUM (VERBOSE) dead', stderr => \my $said);
	like($said, qr/tuples: 1000 removed, 0 remain/, 'VACUUM removes what was deleted after the clone began') });
is(value(q(SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype <> 'virtualxid'
	AND (a.application_name = 'pg_standby_clone' OR a.backend_type = 'standby clone worker'))), '0', 'no lock is held');
unhindered(10, 'CREATE DATABASE', sub { value('CREATE DATABASE meanwhile') });
unhindered(10, 'ALTER TABLE', sub { value('ALTER TABLE plain ADD COLUMN more integer') });
unhindered(10, 'REINDEX', sub { value('REINDEX TABLE plain') });
unhindered(10, 'TRUNCATE', sub { value('TRUNCATE toasted') });
unhindered(10, 'DROP TABLE', sub { value('DROP TABLE dead') });
unhindered(10, 'DROP DATABASE', sub { value('DROP DATABASE meanwhile') });
unhindered(10, 'SIGHUP', sub { $primary->append_conf('postgresql.conf', "work_mem = '5MB'\n"); $primary->reload });
wait_until('each timeout would have struck', sub { watch_snapshots(); time() - $copying_since > 3 });
is(phase_of($primary), 'copying', 'it still copies after all that');
value('SELECT set_clone_rate(id, NULL) FROM clone_progress');
wait_until('the end', sub { watch_snapshots(); !$run->is_running });
exit_is($run, 'completed', 'the clone of a hindered role');
unlike($run->err, qr/cannot be seen/, 'its standby was seen by its name');
cmp_ok($longest, '<', 2, 'no snapshot was held');
is(join(', ', grep { /CALL|worker|walsender/ } sort keys %names),
	'CALL "public".pg_standby_clone_stream, standby clone worker, walsender', 'by any of the backends of a clone');
my @log = split /\n/, substr content_of($primary->logfile), $log_start;
is(join("\n", grep { /TRAPPED/ } @log), '', 'nothing that was planted was called');
is(join("\n", grep { /canceling statement|terminating connection due to .*timeout/ } @log), '', 'no timeout struck');
prove_started($primary, $standby, 'the clone of a hindered role', slot => '');
is($primary->safe_psql('postgres', q(SELECT state FROM clone_history)), 'completed',
	'its history was written though the database is read-only by default');

done_testing();
