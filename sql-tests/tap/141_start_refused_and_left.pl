# --start: what cannot work is refused before anything is copied; a start that takes too long, or is
# given up, leaves a complete standby.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary();
fill_primary($primary, rows => 1000);
my $standby = new_place('standby');
my $directory = $standby->data_dir;

sub refused
{
	my ($like, $what, @options) = @_;
	my $run = start_clone($primary, $standby, '--start', @options);
	clone_fails($run, 'preflight', $like, $what);
	ok(!-e $directory, "$what: nothing was made");
	is(status_of($primary, 'count(*)'), 0, "$what: nothing was begun");
}

refused(qr/lower than its donor's: max_connections = 10 \(the donor has 40\)\n.*hint: Raise them/s,
	'lower settings', '--config-file', own_config($standby, conf => "max_connections = 10\n"));
refused(qr/is of a server in ".*elsewhere", not in "/, 'configuration of another directory',
	'--config-file',
	own_config($standby, conf => "data_directory = '" . scratch('elsewhere') . "'\n"));
refused(qr/cannot read configuration file .*\n.*no_such_setting/s, 'unreadable configuration',
	'--config-file', own_config($standby, conf => "no_such_setting = 1\n"));
refused(qr/configuration file "\/no\/such\.conf" cannot be read/, 'no configuration',
	'--config-file', '/no/such.conf');
my $empty = scratch('no_programs');
refused(qr/needs the server's programs of PostgreSQL \d+, and there are none in \Q$empty\E/,
	'no programs', '--bindir', $empty);

# Another major version's programs: a postgres that says so.
my $other = scratch('other_version');
for my $program ('pg_ctl', 'postgres')
{
	append_to_file("$other/$program", "#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n");
	chmod 0755, "$other/$program";
}
refused(qr/needs the server's programs of PostgreSQL \d+, and found version 9 in \Q$other\E/,
	'programs of another version', '--bindir', $other);

# A setting that ALTER SYSTEM made on the donor travels, and counts.
$primary->safe_psql('postgres', 'ALTER SYSTEM SET max_connections = 50');
$primary->restart;
my $run = run_clone($primary, $standby, '--start', '--config-file', own_config($standby));
exit_is($run, 'completed', 'a setting that travels');
adopt($standby);
is($standby->safe_psql('postgres', 'SHOW max_connections'), 50, 'a setting that travels: counts');
$standby->stop;
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));
$primary->safe_psql('postgres', 'ALTER SYSTEM RESET max_connections');
$primary->restart;

# A server that runs but does not stream: told after --timeout, and not stopped.
my $deaf = new_place('deaf');
my $config = own_config($deaf);
my $start = "pg_ctl -D " . $deaf->data_dir . " -w -l " . $deaf->logfile
  . " -o \"-c config_file=$config -c primary_conninfo=''\" start";
$run = start_clone($primary, $deaf, '--start', '--timeout', 10, '--start-command', $start);
clone_fails($run, 'start', qr/does not stream after 10 s: it runs, but the donor does not see it/, 'deaf');
like($run->err, qr/start it with: \Q$start\E/, 'deaf: how to go on');
ok(adopt($deaf), 'deaf: its server still runs');
is($deaf->safe_psql('postgres', 'SELECT count(*) FROM plain'), 1000, 'deaf: it can be read');
like(status_of($primary, 'state, phase, error'), qr/^failed\|starting\|.*does not stream after 10 s/,
	'deaf: the donor knows');
$deaf->stop;
command_ok([ 'pg_ctl', '-D', $deaf->data_dir, '-w', '-l', $deaf->logfile, '-o',
		"-c config_file=$config", 'start' ], 'deaf: started as it should be');
wait_for_streaming($primary, 'clone');
prove_started($primary, $deaf, 'deaf, then heard');
$deaf->stop;
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));

# Ctrl-C while it starts.
my $slow = new_place('slow');
$run = start_clone($primary, $slow, '--start', '--start-command', 'exec sleep 600');
wait_until('it starts', sub { status_of($primary, 'state, phase') eq 'running|starting' });
$run->signal('INT');
exit_is($run, 'cancelled', 'given up while starting');
like($run->err, qr/is complete, and slot "clone" holds its WAL/, 'given up: the standby stays');
is(status_of($primary, 'state, phase'), 'cancelled|starting', 'given up: the donor knows');
prove_standby($primary, $slow, 'given up', verify => ['--ignore=pg_standby_clone.start.log']);
$slow->stop;
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));

# Cancelled from SQL while it starts, after a pause that changes nothing any more.
my $later = new_place('later');
$run = start_clone($primary, $later, '--start', '--start-command', 'exec sleep 600');
wait_until('it starts', sub { status_of($primary, 'state, phase') eq 'running|starting' });
is($primary->safe_psql('postgres', 'SELECT pause_standby_clone(max(id)) FROM clone_status()'), 't', 'starting: can be paused');
is(status_of($primary, 'state, phase'), 'paused|starting', 'starting: and is');
my $began = time();
is($primary->safe_psql('postgres', 'SELECT cancel_standby_clone(max(id)) FROM clone_status()'), 't', 'starting: cancelled');
exit_is($run, 'cancelled', 'cancelled while starting');
cmp_ok(time() - $began, '<', 6, 'cancelled while starting: at once');
like($run->err, qr/cancelled by role .*is complete, and slot "clone" holds its WAL/s, 'cancelled while starting: the standby stays');
like(status_of($primary, 'state, phase, error'), qr/^cancelled\|starting\|cancelled by role/, 'cancelled while starting: the donor knows');
is($primary->safe_psql('postgres', q(SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'clone')), '1',
	'cancelled while starting: its slot stays with the standby');
$primary->stop;
done_testing();
