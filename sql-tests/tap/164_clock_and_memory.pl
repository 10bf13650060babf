# Clocks that jump by hours, on either host, end no lease and hold nothing up; memory that runs out in a backend
# of the donor costs that backend's work alone; and each process of a clone can be stopped for a while.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Faults;
use StandbyClone;

my $here = Faults->new('helper') or plan skip_all => 'no C compiler here to make a clock that jumps';
my $there = Faults->new('donor');
my $primary = new_primary(start => 0, conf => "pg_standby_clone.reconnect_timeout = '60s'\n");
$there->around(sub { $primary->start });
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone');
fill_primary($primary, rows => 3000);
sub value { return $primary->safe_psql('postgres', $_[0]) }
my $worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'standby clone worker'";

# --- clocks -----------------------------------------------------------------------------
my $place = new_place();
my $run = $here->around(sub { start_clone($primary, $place, '-j', '2', '-r', '2M', '--no-slot') });
wait_for_copying($primary, $run);
my $before = value('SELECT extract(epoch FROM clock_timestamp())::bigint');
for my $hours (5, -5)
{
	$_->set([ 'clock', '', 0, 3600 * $hours ]) for $here, $there;
	cmp_ok(abs(value('SELECT extract(epoch FROM clock_timestamp())::bigint') - $before - 3600 * $hours), '<', 600,
		"the clock of the donor is $hours hours off");
	cmp_ok(abs($here->around(sub { my $now = `date +%s`; $now }) - time() - 3600 * $hours), '<', 600, 'and so is ours');
	my $sent = value('SELECT bytes_sent FROM clone_progress');
	wait_until("it goes on, $hours hours off", sub {
		die 'the clone ended: ' . $run->err if !$run->is_running;
		value("SELECT bytes_sent > $sent FROM clone_progress") eq 't' });
	is(value('SELECT state FROM clone_progress'), 'running', "$hours hours off: it runs");
}
value('SELECT set_clone_rate(id, NULL) FROM clone_progress');
exit_is($run, 'completed', 'with clocks that jump');
$_->clear for $here, $there;
prove_standby($primary, $place, 'with clocks that jump', slot => '');
$place->stop;

# --- memory -----------------------------------------------------------------------------
# From 4 kB on, in streams of a clone: as they begin and as they work.
$place = new_place('forgetful');
my $postmaster = (split /\n/, content_of($primary->data_dir . '/postmaster.pid'))[0];
$there->set([ 'malloc', 'clone stream', 0, 4096 ]);
$run = start_clone($primary, $place, '-N', '-j', '2', '--no-slot', '--reconnect-timeout', '20');
wait_until('memory ran out', sub { $there->count > 0 || !$run->is_running });
cmp_ok($there->count, '>', 0, 'memory ran out in a stream');
$there->clear;
my $code = $run->finish;
like($code, qr/^(?:0|9|10)$/, 'without memory for a while: the clone completes, or ends with a reason') or diag($run->err);
like($run->err, qr/out of memory/i, 'without memory: it says so');
is((split /\n/, content_of($primary->data_dir . '/postmaster.pid'))[0], $postmaster, 'without memory: the server lives');
unlike(content_of($primary->logfile), qr/terminating any other active server processes/, 'without memory: none of it crashed');
exit_is(run_clone($primary, $place, '-N', '--no-slot'), 'completed', 'with memory again') if $code ne '0';
is_clean_on($primary, 'without memory');
command_ok([ 'pg_verifybackup', $place->data_dir ], 'with memory: pg_verifybackup is content');

# --- each process stopped for a while ------------------------------------------------------
$place = new_place('stopped');
$run = start_clone($primary, $place, '-N', '-j', '2', '-r', '2M', '--no-slot');
wait_for_copying($primary, $run);
my %pids = (
	'a stream' => value('SELECT pid FROM clone_streams ORDER BY stream LIMIT 1'),
	'the clone worker' => value($worker),
	'the WAL sender' => value("SELECT pid FROM pg_stat_replication WHERE application_name = 'pg_standby_clone'"),
	'the program' => $run->pid);
for my $who (sort keys %pids)
{
	like($pids{$who}, qr/^\d+$/, "$who is there");
	kill 'STOP', $pids{$who};
	my $end = time() + 1.5;
	wait_until('a while', sub { time() > $end });
	kill 'CONT', $pids{$who};
}
value('SELECT set_clone_rate(id, NULL) FROM clone_progress');
exit_is($run, 'completed', 'each process stopped for a while');
unlike($run->err, qr/error:|warning:/, 'each process stopped for a while: nobody took it for lost');
is_clean_on($primary, 'each process stopped for a while');
command_ok([ 'pg_verifybackup', $place->data_dir ], 'each process stopped for a while: pg_verifybackup is content');

done_testing();
