# A disk so slow that a sync takes longer than anybody wants to wait: the lease is kept, who cancels the clone is
# obeyed within two seconds although nobody can call a sync back, and the same command completes it later.
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

my $disk = Faults->new or plan skip_all => 'no C compiler here to make a disk that is slow';
my $primary = new_primary();
fill_primary($primary, rows => 3000);
sub value { return $primary->safe_psql('postgres', $_[0]) }
sub wait_for_phase
{
	my ($phase, $run) = @_;
	return wait_until("phase $phase", sub {
		die 'the clone ended early: ' . $run->err if !$run->is_running;
		phase_of($primary) eq $phase });
}

my $place = new_place();
sub cancelled_while
{
	my ($what, $phase, $rule, $cancel, $message) = @_;
	$disk->set($rule);
	my $run = $disk->around(sub { start_clone($primary, $place, '-j', '2') });
	wait_for_phase($phase, $run);
	wait_until("$what: the disk is at work", sub { $disk->count > 0 });
	my $before = time();
	$cancel->($run);
	is_clean_on($primary, $what);
	exit_is($run, 'cancelled', $what);
	cmp_ok(time() - $before, '<', 5, "$what: within two seconds, and some for a slow machine");
	like($run->err, $message, "$what: says so");
	like($run->err, qr/is kept, .*run the same command again to go on/, "$what: and how to go on");
	is_not_startable($place->data_dir, $what);
	$disk->clear;
	return;
}

my $by_sql = sub { value('SELECT cancel_standby_clone(max(id)) FROM clone_status()') };
my $on_donor = qr/error: the clone was cancelled on the donor: cancelled by role/;
cancelled_while('syncing', 'syncing', [ 'syncfs', '', 0, '+60000' ], $by_sql, $on_donor);
exit_is(run_clone($primary, $place, '--no-slot'), 'completed', 'the same command');
prove_standby($primary, $place, 'the same command', slot => '');
$place->stop;

$place = new_place('second');
cancelled_while('finishing', 'finishing', [ 'fsync', 'backup_label', 0, '+60000' ], $by_sql, $on_donor);
cancelled_while('syncing, by a signal', 'syncing', [ 'syncfs', '', 0, '+60000' ], sub { $_[0]->signal('INT') },
	qr/error: stopped/);
cancelled_while('the journal', 'copying', [ 'fsync', 'pg_standby_clone.journal', 1, '+60000' ], $by_sql, $on_donor);

# An agent that has cancelled a clone lives on, and takes the next one when its disk has done.
$disk->set([ 'syncfs', '', 0, '+4000' ]);
my $agent = $disk->around(sub { start_agent($primary, $place) });
my $id = request($primary, 'clone');
wait_until('the agent waits for its disk', sub { phase_of($primary) eq 'syncing' && $disk->count > 0 });
is(value("SELECT cancel_standby_clone($id)"), 't', 'an agent: cancelled');
is(value("SELECT state FROM clone_status($id)"), 'cancelled', 'an agent: at once');
is_clean_on($primary, 'an agent');
my $next = request($primary, 'clone');
state_is($primary, $next, 'completed', 'an agent, asked again while its disk works: when that is done');
ok($agent->is_running, 'the agent waits on');
$agent->signal('TERM');
prove_standby($primary, $place, 'an agent, asked again');

done_testing();
