# The donor crashes in mid-copy. Back again it knows nothing of the clone, and nor does the standby that takes its
# place: the helper begins another session by itself, and compares what is there. A server that missed the failover
# is not taken for the donor.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 60000);

# Waits until that much is copied; returns how much it was then.
sub copied
{
	my ($run, $wanted) = @_;
	my $done = 0;
	wait_until("$wanted bytes are copied", sub {
		die 'the clone ended early: ' . $run->err if !$run->is_running;
		$done = $primary->safe_psql('postgres', 'SELECT coalesce(max(bytes_done), 0) FROM clone_progress');
		return $done > $wanted });
	return $done;
}

# The helper goes on by itself, in a new session, and what had been copied does not travel again.
sub goes_on
{
	my ($run, $full, $done, $what) = @_;
	exit_is($run, 'completed', $what);
	like($run->out, qr/the donor does not know this clone any more: .*; going on with another session/, "$what: says what happened");
	like($run->out, qr/going on with the unfinished clone in .*is compared/, "$what: says that it compares");
	my $wire = wire_of($run);
	note("$what: $wire bytes on the wire in the second session; $done were there, and a full copy is $full");
	# What crash recovery and the writes since have changed is little.
	cmp_ok($wire, '<', $full - 0.8 * $done, "$what: what was there is not sent again");
}

my $full = wire_of(run_clone($primary, new_place('whole'), '-N', '--name', 'whole', '--no-slot', '--json'));
my $wanted = $full / 2;

# Restarted. The rate limit is the first session's and the second's.
my $place = new_place();
my $run = start_clone($primary, $place, '-N', '-r', '10M', '-j', '3', '--json');
my $done = copied($run, $wanted);
$primary->stop('immediate');
is_not_startable($place->data_dir, 'restarted');
$primary->start;
$primary->safe_psql('postgres', "UPDATE plain SET text = 'after the restart' WHERE id % 5000 = 0");
goes_on($run, $full, $done, 'restarted');
is_clean_on($primary, 'restarted', 'clone');
is($primary->safe_psql('postgres', q(SELECT string_agg(state, ' ' ORDER BY id) FROM clone_status() WHERE target = 'clone')),
	'failed completed', 'restarted: the donor tells the two apart');
prove_standby($primary, $place, 'restarted');
$place->stop;

# Failed over: the first clone's directory becomes the heir. Named first, it answers as a standby at once, and
# is not taken before it is promoted.
my $heir = new_place('heir');
exit_is(run_clone($primary, $heir, '-N', '--name', 'heir'), 'completed', 'the heir');
start_server_in($heir);
wait_for_streaming($primary, 'heir');
my $both = sprintf 'host=%s,%s port=%s,%s dbname=postgres', $heir->host, $primary->host, $heir->port, $primary->port;
my $late = new_place('late');
my @command = (undef, $late, '-N', '-j', '3', '--json', '--name', 'late');
$run = start_clone(@command, '-d', "$both target_session_attrs=primary", '-r', '10M');
$done = copied($run, $wanted);
catch_up($primary, $heir);
$primary->stop('immediate');
wait_until('the helper has tried the standby', sub { $run->out =~ /"connection":"control","state":"lost"/ });
ok($run->is_running, 'failed over: it waits for somebody to be promoted');
$heir->promote;
$heir->safe_psql('postgres', "UPDATE plain SET text = 'after the failover' WHERE id % 5000 = 1");
goes_on($run, $full, $done, 'failed over');
is($heir->safe_psql('postgres', q(SELECT timeline, state FROM clone_status() WHERE target = 'late' ORDER BY id DESC LIMIT 1)),
	'2|completed', 'failed over: cloned from the later timeline');
is_clean_on($heir, 'failed over', 'late');
prove_standby($heir, $late, 'failed over', slot => 'late');
is($late->safe_psql('postgres', q(SELECT count(*) FROM plain WHERE text = 'after the failover')),
	$heir->safe_psql('postgres', q(SELECT count(*) FROM plain WHERE text = 'after the failover')),
	'failed over: it has what the new primary wrote');
$late->stop;

# The old primary is not one to go on with.
my $stray = new_place('stray');
$run = start_clone(undef, $stray, '-N', '-j', '3', '--name', 'stray', '-d', "$both target_session_attrs=primary", '-r', '10M',
	'--reconnect-timeout', '4s');
wait_until('it copies from the new primary', sub {
	$heir->safe_psql('postgres', q(SELECT coalesce(max(bytes_done), 0) > 0 FROM clone_progress)) eq 't' });
$primary->start;
$heir->stop('immediate');
clone_fails($run, 'lost', qr/is on timeline 1, the donor was on 2: it missed a failover/, 'the old primary');
is_not_startable($stray->data_dir, 'the old primary');

done_testing();
