# LOGIN REPLICATION and two lines in pg_hba.conf are enough; without them the message has the lines
# to paste. No extension, another database, a template: each is said.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(no_extension => 1, conf => "listen_addresses = '127.0.0.1'\n");
my $port = $primary->port;
$primary->safe_psql('postgres', <<'SQL');
CREATE ROLE replicator LOGIN REPLICATION;
CREATE ROLE nobody LOGIN;
CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher;
CREATE DATABASE tools;
SQL

sub set_hba
{
	my (@lines) = @_;
	my $path = $primary->data_dir . '/pg_hba.conf';
	open my $hba, '>', $path or die;
	print $hba "$_\n" for 'local all all trust', @lines;
	close $hba;
	$primary->reload;
}

my $standby = new_place();
my @as_replicator = ('-h', '127.0.0.1', '-p', $port, '-U', 'replicator');

# Neither line, then only the first: the message has both.
for my $lines ([], ['host postgres replicator 127.0.0.1/32 trust'])
{
	set_hba(@$lines);
	$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone') if @$lines;
	my $run = run_clone(undef, $standby, @as_replicator);
	clone_fails($run, 'connection', qr/no pg_hba\.conf entry/, scalar(@$lines) . ' lines');
	like($run->err, qr/^\s*host\s+"postgres"\s+"replicator"\s+127\.0\.0\.1\/32\s+scram-sha-256$/m,
		'the line for the database');
	like($run->err, qr/^\s*host\s+replication\s+"replicator"\s+127\.0\.0\.1\/32\s+scram-sha-256$/m,
		'the line for replication');
	ok(!-e $standby->data_dir, 'no directory is left');
	is_clean_on($primary, 'no line') if @$lines;
}

# The printed lines do (with trust for scram-sha-256, since the role has no password here).
my $run = run_clone(undef, $standby, @as_replicator);
my @printed = map { s/scram-sha-256/trust/r } $run->err =~ /^\s*(host\s.*)$/mg;
is(scalar @printed, 2, 'two lines are printed');
set_hba(@printed);
exit_is(run_clone(undef, $standby, @as_replicator, '-N'), 'completed', 'LOGIN REPLICATION');
prove_standby($primary, $standby, 'LOGIN REPLICATION');
$standby->stop;

set_hba('local replication all trust', @printed);
my $other = new_place('other');
my @as_other = ('--name', 'other', '-h', $primary->host, '-p', $port, '-U');
clone_fails(run_clone(undef, $other, @as_other, 'nobody'), 'preflight',
	qr/role "nobody" may not clone.*\n.*ALTER ROLE nobody REPLICATION/, 'a role without REPLICATION');
clone_fails(run_clone(undef, $other, @as_other, 'watcher'), 'preflight', qr/may not clone/,
	'pg_monitor sees, it does not clone');
clone_fails(run_clone(undef, $other, @as_other, 'missing'), 'connection', qr/role "missing" does not exist/,
	'a role that is not there');
clone_fails(run_clone(undef, $other, @as_other, 'replicator', '-d', 'tools'), 'preflight',
	qr/extension pg_standby_clone is not in database "tools".*\n.*CREATE EXTENSION pg_standby_clone/,
	'a database without the extension');
clone_fails(run_clone(undef, $other, @as_other, 'replicator', '-d', 'absent'), 'connection',
	qr/database "absent" does not exist.*\n.*--dbname/, 'a database that is not there');
$primary->safe_psql('template1', 'CREATE EXTENSION pg_standby_clone');
clone_fails(run_clone(undef, $other, @as_other, 'replicator', '-d', 'template1'), 'preflight',
	qr/template database/, 'a template database');
$primary->safe_psql('template1', 'DROP EXTENSION pg_standby_clone');

# A schema of its own that PUBLIC may not use.
$primary->safe_psql('tools', 'CREATE SCHEMA "Clone"; CREATE EXTENSION pg_standby_clone SCHEMA "Clone"');
clone_fails(run_clone(undef, $other, @as_other, 'replicator', '-d', 'tools'), 'preflight',
	qr/permission denied for schema Clone.*\n.*GRANT USAGE ON SCHEMA "Clone"/, 'a closed schema');
$primary->safe_psql('tools', 'GRANT USAGE ON SCHEMA "Clone" TO replicator');
# All clones that run at a time do so through one database.
my $slow = start_clone($primary, new_place('slow'), '--name', 'slow', '-N', '-r', '2M');
wait_for_copying($primary, $slow);
clone_fails(run_clone(undef, $other, @as_other, 'replicator', '-d', 'tools'), 'preflight',
	qr/clones are running from another database.*\n.*"postgres"/, 'a second database');
$slow->signal('TERM');
exit_is($slow, 'cancelled', 'the one in the first database');
exit_is(run_clone(undef, $other, @as_other, 'replicator', '-d', 'tools', '-N'), 'completed', 'another schema');
prove_standby($primary, $other, 'another schema', slot => 'other');

clone_fails(run_clone(undef, new_place('nowhere'), '-h', '127.0.0.1', '-p', '1', '--name', 'x'), 'connection',
	qr/port 1 failed|refused/, 'nobody listens');
clone_fails(run_clone(undef, new_place('unreadable'), '-d', 'host=x port', '--name', 'x'), 'usage',
	qr/connection string cannot be read/, 'an unreadable connection string');

done_testing();
