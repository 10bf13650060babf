# What would make a clone fail is found before anything is copied, each with its own message; the
# target directory is as it was.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 2000);
my $place = new_place();

sub with_settings
{
	my ($settings, $like, $what, @options) = @_;
	$primary->append_conf('postgresql.conf', $settings);
	$primary->restart;
	my $run = clone_fails(run_clone($primary, $place, '-N', @options), 'preflight', $like, $what);
	like($run->err, qr/hint: /, "$what: and what to do");
	ok(!-e $place->data_dir, "$what: no directory is left");
	is_clean_on($primary, $what);
	return;
}

# --- the donor ---
with_settings("wal_level = minimal\nmax_wal_senders = 0\n", qr/wal_level = minimal/, 'wal_level');
with_settings("wal_level = replica\n", qr/max_wal_senders = 0/, 'no WAL senders');
with_settings("max_wal_senders = 10\nmax_replication_slots = 0\n", qr/no replication slots/, 'no slots');
with_settings("max_replication_slots = 1\n", qr/needs 2 free replication slots, this server has 1/, 'one slot');
exit_is(run_clone($primary, $place, '-N', '--no-slot'), 'completed', 'with --no-slot one is enough');
$place->clean_node;
$place = new_place('again');
with_settings("max_replication_slots = 10\nmax_worker_processes = 1\n", qr/no background worker free/, 'no worker');
with_settings("max_worker_processes = 16\npg_standby_clone.max_streams = 4\n",
	qr/slot "missing" does not exist/, 'a slot that is not there', '-S', 'missing');
$primary->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('logical', 'pgoutput')")
  if $primary->safe_psql('postgres', 'SHOW wal_level') eq 'logical';

with_settings("max_connections = 3\nsuperuser_reserved_connections = 0\n",
	qr/takes 9 connections, the donor has \d.*\n.*fewer --jobs/, 'no connection left', '-j', '8');
$primary->append_conf('postgresql.conf', "max_connections = 40\n");

# All WAL senders are taken.
$primary->append_conf('postgresql.conf', "max_wal_senders = 1\n");
$primary->restart;
my $taken = scratch('taken');
my $receiver = StandbyClone::Run->new('pg_receivewal', '-D', $taken, '-h', $primary->host, '-p', $primary->port);
wait_until('the one WAL sender is taken', sub {
	$primary->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_replication') eq '1' });
clone_fails(run_clone($primary, $place, '-N'), 'preflight',
	qr/0 of 1 WAL senders are free.*\n.*Raise max_wal_senders/, 'all WAL senders taken');
$receiver->signal('TERM');
$receiver->finish;
ok(!-e $place->data_dir, 'all WAL senders taken: no directory is left');
$primary->append_conf('postgresql.conf', "max_wal_senders = 10\n");
$primary->restart;

# --- the command line ---
for my $case (
	[ [ '-F', 't' ], qr/no tar format/ ], [ [ '-X', 'fetch' ], qr/no --wal-method=fetch/ ],
	[ [ '-t', 'server:/x' ], qr/no --target/ ], [ [ '-Z', 'lz4' ], qr/zstd alone/ ],
	[ [ '-j', '0' ], qr/0 streams/ ], [ [ '-r', '1' ], qr/not a transfer rate/ ],
	[ [ '-T', 'x' ], qr/not a tablespace mapping/ ], [ [ '-S', 's', '--no-slot' ], qr/contradict/ ],
	[ [ '--manifest-checksums', 'MD5' ], qr/MD5/ ], [ ['--no-such-option'], qr/no-such-option/ ])
{
	my ($options, $like) = @$case;
	clone_fails(run_clone($primary, $place, @$options), 'usage', $like, "@$options");
}
ok(!-e $place->data_dir, 'usage errors leave no directory');

# --- the target ---
my $full = scratch('full');
append_to_file("$full/something", 'mine');
clone_fails(run_clone($primary, $full), 'target', qr/"\Q$full\E" is not empty/, 'not empty');
is(content_of("$full/something"), 'mine', 'not empty: nothing is touched');
my $mount = scratch('mount');
mkdir "$mount/lost+found";
clone_fails(run_clone($primary, $mount), 'target', qr/mount point/, 'a mount point');
clone_fails(run_clone($primary, "$full/something"), 'target', qr/not a directory/, 'a file');
my $closed = scratch('closed');
chmod 0500, $closed;
clone_fails(run_clone($primary, "$closed/d"), 'target', qr/Permission denied.*\n.*operating system user/,
	'no permission') if $< != 0;
chmod 0700, $closed;
clone_fails(run_clone($primary, $primary->data_dir), 'target',
	qr/a PostgreSQL server runs in ".*" \(PID \d+\)/, 'the running donor');
is($primary->safe_psql('postgres', 'SELECT 1'), '1', 'the running donor: still runs');
my $cluster = PostgreSQL::Test::Cluster->new('stopped');
$cluster->init;
clone_fails(run_clone($primary, $cluster), 'target', qr/not empty.*\n.*holds a PostgreSQL cluster/,
	'a stopped cluster');
ok(-e $cluster->data_dir . '/global/pg_control', 'a stopped cluster: is as it was');

# Two at once in one directory: the second is refused, the first goes on.
my $first = start_clone($primary, $place, '-N', '-r', '10M');
wait_for_copying($primary, $first);
clone_fails(run_clone($primary, $place, '--name', 'second'), 'target', qr/another clone is at work in/,
	'a directory in use');
# Nor does a server start there meanwhile.
my ($out, $err) = ('', '');
ok(!IPC::Run::run([ 'postgres', '-D', $place->data_dir ], '>', \$out, '2>', \$err, IPC::Run::timeout(30)),
	'no server starts in a directory in use');
exit_is($first, 'completed', 'the first of two');
prove_standby($primary, $place, 'the first of two');

# --- a version ---
my ($version) = run_command([ 'pg_standby_clone', '--version' ]);
like($version, qr/^pg_standby_clone \d+\.\d+\.\d+$/, '--version');
my ($help) = run_command([ 'pg_standby_clone', '--help' ]);
like($help, qr/Usage:.*--pgdata/s, '--help');

done_testing();
