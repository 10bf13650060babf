# pg_standby_clone check and check_standby_clone(): each thing that would stop a clone is found, on
# both hosts, and nothing is touched by looking.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $tablespace = scratch('tablespace');
# Autovacuum would make files of its own between two looks.
my $primary = new_primary(conf => "listen_addresses = '127.0.0.1'\nautovacuum = off\n");
fill_primary($primary, rows => 2000);
$primary->safe_psql('postgres', "CREATE TABLESPACE far LOCATION '$tablespace'");
$primary->safe_psql('postgres', 'CREATE TABLE away TABLESPACE far AS SELECT generate_series(1, 50000)');
my $new = scratch('new');
my @mapped = ('-T', "$tablespace=$new/ts");
my $place = new_place();

# Everything a directory tree holds, with times and sizes.
sub trace_of
{
	my ($directory) = @_;
	return '' unless -e $directory;
	my ($trace) = run_command([ 'find', $directory, '-printf', '%p %s %T@ %C@ %m\n' ]);
	return join "\n", sort split /\n/, $trace;
}

sub check
{
	my ($where, @options) = @_;
	my $run = StandbyClone::Run->new('pg_standby_clone', 'check', '-D', ref $where ? $where->data_dir : $where,
		'-w', '--name', 'clone', @options);
	$run->finish;
	return $run;
}

sub check_primary { my ($where, @options) = @_; return check($where, '-h', $primary->host, '-p', $primary->port, @options); }

# The findings of a run with --json, by their names; the worst of a name counts.
sub findings_of
{
	my ($run) = @_;
	my %found;
	for my $line (map { decode_json($_) } split /\n/, $run->out)
	{
		next unless $line->{type} eq 'check';
		$found{ $line->{check} } = $line
		  unless exists $found{ $line->{check} } && $found{ $line->{check} }{status} ne 'ok';
	}
	return \%found;
}

sub finds
{
	my ($run, $class, $check, $status, $like, $what) = @_;
	exit_is($run, $class, $what);
	my $found = findings_of($run)->{$check};
	is($found ? $found->{status} : '', $status, "$what: $check is \"$status\"");
	like($found ? $found->{detail} : '', $like, "$what: says so");
	ok($found && $found->{hint}, "$what: and what to do") if $status ne 'ok';
	return;
}

# --- all is well ---
my $parent = $place->data_dir =~ s{/[^/]+$}{}r;
my $before = trace_of($parent) . trace_of($new) . trace_of($tablespace);
my $run = check_primary($place, @mapped);
exit_is($run, 'completed', 'all is well');
like($run->out, qr/^check\s+status\s+detail$/m, 'all is well: a table');
like($run->out, qr/^wal_level\s+ok\s+wal_level = replica$/m, 'all is well: with the donor\'s checks');
like($run->out, qr/a clone can be made$/, 'all is well: and a verdict');
is($run->err, '', 'all is well: nothing on standard error');
$run = check_primary($place, @mapped, '--json');
exit_is($run, 'completed', 'as JSON');
my @lines = map { decode_json($_) } split /\n/, $run->out;
is("$lines[-1]{type} $lines[-1]{state} $lines[-1]{errors}", 'result ok 0', 'as JSON: the last line is the result')
  or diag($run->out);
my $found = findings_of($run);
is_deeply([ sort grep { !exists $found->{$_} } qw(directory connection extension rights replication space glibc
	server_programs version wal_level wal_senders replication_slots background_workers connections
	max_slot_wal_keep_size wal_space size configuration_files collations) ], [], 'as JSON: every check is there');
is(trace_of($parent) . trace_of($new) . trace_of($tablespace), $before, 'nothing is touched on this host');
is_clean_on($primary, 'all is well');

# The size to come is the size that comes. What was dropped is there until a checkpoint.
$primary->safe_psql('postgres', 'CHECKPOINT');
$found = findings_of(check_primary($place, @mapped, '--json'));
my ($size) = $found->{size}{detail} =~ /in (\d+) files/;
exit_is(my $clone = run_clone($primary, $place, '-N', '--json', @mapped), 'completed', 'a clone after it');
my ($result) = grep { $_->{type} eq 'result' } map { decode_json($_) } split /\n/, $clone->out;
# Between the two the server may make or drop a file of its own.
cmp_ok(abs($result->{files} - ($size - 1)), '<=', 3, 'a clone after it: has as many files, but for pg_control');
$place->clean_node;
PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', "$new/ts");
$primary->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');

# --- this host ---
my $full = scratch('full');
append_to_file("$full/something", 'mine');
$before = trace_of($full);
finds(check_primary($full, '--json', @mapped), 'target', 'directory', 'error', qr/is not empty/, 'not empty');
is(trace_of($full), $before, 'not empty: nothing is touched');
finds(check_primary($primary, '--json', @mapped), 'target', 'directory', 'error', qr/server runs in/, 'a running server');
finds(check_primary("$full/something", '--json', @mapped), 'target', 'directory', 'error', qr/not a directory/, 'a file');
finds(check_primary($place, '--json'), 'target', 'tablespaces', 'error', qr/not empty/,
	'a tablespace that is not mapped, on the same host');
finds(check_primary($place, '--json', '-T', '/wrong=/x', @mapped), 'usage', 'tablespaces', 'error',
	qr{no tablespace in "/wrong"}, 'a wrong mapping');
finds(check_primary($place, '--json', @mapped, '--waldir', $full), 'target', 'wal_directory', 'error',
	qr/is not empty/, 'a WAL directory that is not empty');
my $closed = scratch('closed');
chmod 0500, $closed;
finds(check_primary("$closed/d", '--json', @mapped), 'target', 'directory', 'error', qr/Permission denied/,
	'no permission') if $< != 0;
chmod 0700, $closed;

SKIP:
{
	my $small = $ENV{SMALL_FILE_SYSTEM};
	skip 'no small file system', 6 unless $small;
	$primary->safe_psql('postgres', q(CREATE TABLE big AS SELECT repeat(md5(n::text), 50) t FROM generate_series(1, 60000) n));
	my $small_run = check_primary("$small/check", '--json', @mapped);
	finds($small_run, 'disk', 'space', 'error', qr/needs .* on the file system of "\Q$small\E/, 'too little room');
	my $refused = run_clone($primary, "$small/check", '-N', @mapped);
	clone_fails($refused, 'disk', qr/needs .* on the file system/, 'too little room, a clone');
	ok(!-e "$small/check", 'too little room: no directory is made');
	# The list, by which it knows, is made once, in the backup.
	is_clean_on($primary, 'too little room');
	$primary->safe_psql('postgres', 'DROP TABLE big');
}

# --- the way there ---
$primary->safe_psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION; CREATE ROLE nobody LOGIN; CREATE DATABASE tools');
my @as = ('-h', '127.0.0.1', '-p', $primary->port, @mapped, '--json', '-U');
my $hba = $primary->data_dir . '/pg_hba.conf';
my $usual = content_of($hba);
sub set_hba
{
	open my $file, '>', $hba or die;
	print $file join "\n", 'local all all trust', @_, '';
	close $file;
	$primary->reload;
}
finds(check($place, '-h', '127.0.0.1', '-p', '1', @mapped, '--json'), 'connection', 'connection', 'error',
	qr/refused/, 'nobody listens');
set_hba();
finds(check($place, @as, 'replicator'), 'connection', 'connection', 'error', qr/no pg_hba\.conf entry/, 'no line');
set_hba('host postgres replicator 127.0.0.1/32 trust');
$run = check($place, @as, 'replicator');
finds($run, 'connection', 'replication', 'error', qr/no pg_hba\.conf entry for replication/, 'one line');
like(findings_of($run)->{replication}{hint}, qr/^\s*host\s+replication\s+"replicator"\s+127\.0\.0\.1\/32/m,
	'one line: the other, to paste');
is(findings_of($run)->{connection}{status}, 'ok', 'one line: the database is reached');
is($primary->safe_psql('postgres', q(SELECT status FROM check_standby_clone() WHERE "check" = 'pg_hba')), 'error',
	'one line: the donor says so, too');
set_hba('host postgres,replication all 127.0.0.1/32 trust');
finds(check($place, @as, 'replicator'), 'completed', 'replication', 'ok', qr/let in/, 'both lines');
is($primary->safe_psql('postgres', q(SELECT status FROM check_standby_clone() WHERE "check" = 'pg_hba')), 'warning',
	'both lines: for this host only, the donor says');
finds(check($place, @as, 'nobody'), 'preflight', 'rights', 'error', qr/may not clone/, 'no REPLICATION');
set_hba('host all,replication all all trust');
is($primary->safe_psql('postgres', q(SELECT status FROM check_standby_clone() WHERE "check" = 'pg_hba')), 'ok',
	'lines for all hosts');
finds(check($place, @as, 'replicator', '-d', 'tools'), 'preflight', 'extension', 'error',
	qr/is not in database "tools"/, 'no extension');
set_hba($usual);

# --- the donor: what the program and check_standby_clone() say is the same ---
sub donor_finds
{
	my ($settings, $check, $status, $like, $what, @options) = @_;
	$primary->append_conf('postgresql.conf', "$settings\n");
	$primary->restart;
	finds(check_primary($place, '--json', @mapped, @options), $status eq 'error' ? 'preflight' : 'completed', $check, $status,
		$like, $what);
	like($primary->safe_psql('postgres', qq(SELECT status, detail FROM check_standby_clone() WHERE "check" = '$check')),
		qr/^\Q$status\E\|.*$like/s, "$what: so says the donor");
}
donor_finds("wal_level = minimal\nmax_wal_senders = 0", 'wal_level', 'error', qr/minimal/, 'wal_level');
donor_finds('wal_level = replica', 'wal_senders', 'error', qr/max_wal_senders = 0/, 'no WAL senders');
donor_finds("max_wal_senders = 10\nmax_replication_slots = 1", 'replication_slots', 'warning', qr/1 of 1/, 'one slot', '--no-slot');
donor_finds('max_replication_slots = 10', 'replication_slots', 'ok', qr/10 of 10/, 'slots');
donor_finds('max_worker_processes = 1', 'background_workers', 'error', qr/no background worker free/, 'no worker');
donor_finds("max_worker_processes = 16\nmax_slot_wal_keep_size = 0", 'max_slot_wal_keep_size', 'warning', qr/0 bytes/,
	'no WAL is kept');
donor_finds('max_slot_wal_keep_size = -1', 'max_slot_wal_keep_size', 'ok', qr/no limit/, 'WAL is kept');
donor_finds("max_connections = 4\nsuperuser_reserved_connections = 0", 'connections', 'warning', qr/\d of 4/,
	'few connections', '-j', '1');
finds(check_primary($place, '--json', @mapped, '-j', '8'), 'preflight', 'streams', 'error', qr/takes 9 connections/,
	'more streams than connections');
$primary->append_conf('postgresql.conf', "max_connections = 40\n");
$primary->restart;

# A link among the files, and configuration that lies elsewhere.
my $elsewhere = scratch('elsewhere');
rename $primary->data_dir . '/pg_ident.conf', "$elsewhere/pg_ident.conf";
symlink "$elsewhere/pg_ident.conf", $primary->data_dir . '/pg_ident.conf';
$primary->append_conf('postgresql.conf', "hba_file = '$elsewhere/pg_hba.conf'\n");
link $hba, "$elsewhere/pg_hba.conf";
donor_finds('', 'links', 'warning', qr/pg_ident\.conf/, 'a link');
donor_finds('', 'configuration_files', 'warning', qr{\Q$elsewhere\E/pg_hba\.conf}, 'configuration elsewhere');

# Databases that were made with another version of the collation's library.
$primary->safe_psql('tools', 'SET allow_system_table_mods = on; '
	. q(UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'tools'));
donor_finds('', 'collations', 'warning', qr/another version .* tools/, 'a collation version')
  if $primary->safe_psql('postgres', q(SELECT pg_database_collation_actual_version(oid) IS NOT NULL FROM pg_database
     WHERE datname = 'tools')) eq 't';

# What is wrong is shown by the clone, too, and it goes on.
my $warned = new_place('warned');
exit_is($run = run_clone($primary, $warned, '-N', @mapped), 'completed', 'a clone with warnings');
like($run->err, qr/warning: "pg_ident\.conf" is a link and does not travel/, 'a clone with warnings: shows them');

done_testing();
