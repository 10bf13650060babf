# --failover-slots: a subscriber of the primary goes on with a standby of ours after a failover, and loses nothing. Before
# 17, and where the donor does not have what it takes, it is refused before anything is copied.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "listen_addresses = '127.0.0.1'\nwal_level = replica\n");
my $standby = new_place();
my @keep = ('-N', '--failover-slots');
if ($primary->safe_psql('postgres', "SELECT current_setting('server_version_num')::int") < 170000)
{
	clone_fails(run_clone($primary, $standby, @keep), 'preflight', qr/slots are synchronized by PostgreSQL 17 and later/, 'too old');
	ok(!-e $standby->data_dir, 'too old: nothing was made');
	done_testing();
	exit;
}

clone_fails(run_clone($primary, $standby, @keep), 'preflight', qr/no logical slots to keep: its wal_level is replica/, 'wal_level');
ok(!-e $standby->data_dir, 'wal_level: nothing was made');
$primary->append_conf('postgresql.conf', "wal_level = logical\n");
$primary->restart;
$primary->safe_psql('postgres', 'CREATE TABLE told (id integer PRIMARY KEY); CREATE PUBLICATION told FOR TABLE told');
my $check = StandbyClone::Run::finished('pg_standby_clone', 'check', '-D', $standby->data_dir, '-w', '-h', $primary->host,
	'-p', $primary->port, '--name', 'clone', '--failover-slots');
like($check->out, qr/^failover_slots +warning +no logical slot of the donor/m, 'check: no slot to keep');

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE TABLE told (id integer PRIMARY KEY)');
$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION told CONNECTION '" . $primary->connstr . ' dbname=postgres' . "' PUBLICATION told WITH (failover = true)");
$primary->safe_psql('postgres', 'INSERT INTO told SELECT generate_series(1, 1000)');
my $run = run_clone($primary, $standby, @keep);
exit_is($run, 'completed', 'clone');
like($run->err, qr/synchronized_standby_slots of the donor does not name "clone"/, 'clone: says what is missing');
prove_standby($primary, $standby, 'clone');
$primary->safe_psql('postgres', $_) for "ALTER SYSTEM SET synchronized_standby_slots = 'clone'", 'SELECT pg_reload_conf()';
ok(wait_until('the slot is kept', sub {
	$primary->safe_psql('postgres', 'SELECT pg_log_standby_snapshot()');
	return $standby->safe_psql('postgres', "SELECT synced AND NOT temporary FROM pg_replication_slots WHERE slot_name = 'told'") eq 't' }),
	'the slot is on the standby');

$primary->safe_psql('postgres', 'INSERT INTO told SELECT generate_series(1001, 2000)');
ok(wait_until('all is told', sub { $subscriber->safe_psql('postgres', 'SELECT count(*) FROM told') eq '2000' }),
	'the subscriber has all that the standby has');
$primary->stop('immediate');
$standby->promote;
$subscriber->safe_psql('postgres', "ALTER SUBSCRIPTION told CONNECTION '" . $standby->connstr . ' dbname=postgres' . "'");
$standby->safe_psql('postgres', 'INSERT INTO told SELECT generate_series(2001, 3000)');
ok(wait_until('the new primary tells', sub { $subscriber->safe_psql('postgres', 'SELECT count(*), max(id) FROM told') eq '3000|3000' }),
	'after the failover the subscriber goes on where it was');
$subscriber->stop;
$standby->stop;

done_testing();
