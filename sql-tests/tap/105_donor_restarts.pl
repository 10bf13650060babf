# The donor crashes in mid-copy. Back again it knows nothing of the clone, and nor does the standby that takes its
# place: the helper ends, and the same command goes on with what is there, by comparison.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 60000);

# Bytes on the wire, by the program's own account.
sub wire_of
{
	my ($run) = @_;
	return $1 if $run->out =~ /"type":"result".*"bytes_sent":(\d+)/;
	fail('the result says what was sent: ' . $run->out . $run->err);
	return 0;
}

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

# The lost run: what it says, and what it leaves.
sub lost
{
	my ($run, $place, $what) = @_;
	clone_fails($run, 'lost', qr/error: the donor does not know this clone any more/, $what);
	is(scalar(() = $run->err =~ /error: /g), 1, "$what: one error");
	like($run->err, qr/is kept, and no server can be started there: run the same command again/, "$what: says how to go on");
	ok(-e $place->data_dir . '/pg_standby_clone.journal', "$what: the directory is kept");
	is_not_startable($place->data_dir, $what);
}

# The run after it: in a new session, and what had been copied does not travel again.
sub goes_on
{
	my ($run, $full, $done, $what) = @_;
	exit_is($run, 'completed', $what);
	like($run->out, qr/going on with the unfinished clone in .*is compared/, "$what: says that it compares");
	my $wire = wire_of($run);
	note("$what: $wire bytes on the wire; $done were there, and a full copy is $full");
	# What crash recovery and the writes since have changed is little.
	cmp_ok($wire, '<', $full - 0.8 * $done, "$what: what was there is not sent again");
}

my $full = wire_of(run_clone($primary, new_place('whole'), '-N', '--name', 'whole', '--no-slot', '--json'));
my $wanted = $full / 2;

my $place = new_place();
my $run = start_clone($primary, $place, '-N', '-r', '10M', '-j', '3');
my $done = copied($run, $wanted);
$primary->stop('immediate');
$primary->start;
lost($run, $place, 'restarted');
is_clean_on($primary, 'restarted');
$primary->safe_psql('postgres', "UPDATE plain SET text = 'after the restart' WHERE id % 5000 = 0");
goes_on(run_clone($primary, $place, '-N', '-j', '3', '--json'), $full, $done, 'after the restart');
prove_standby($primary, $place, 'after the restart');
$place->stop;

# The first clone's directory becomes the heir.
my $heir = new_place('heir');
exit_is(run_clone($primary, $heir, '-N', '--name', 'heir'), 'completed', 'the heir');
start_server_in($heir);
wait_for_streaming($primary, 'heir');
my $both = sprintf 'host=%s,%s port=%s,%s dbname=postgres', $primary->host, $heir->host, $primary->port, $heir->port;
my @command = (undef, new_place('late'), '-d', $both, '--name', 'late', '-N', '-j', '3');
my $late = $command[1];
$run = start_clone(@command, '-r', '10M');
$done = copied($run, $wanted);
catch_up($primary, $heir);
$primary->stop('immediate');
$heir->promote;
lost($run, $late, 'failed over');
is_clean_on($heir, 'failed over');
$heir->safe_psql('postgres', "UPDATE plain SET text = 'after the failover' WHERE id % 5000 = 1");
$run = run_clone(@command, '--json');
goes_on($run, $full, $done, 'after the failover');
is($heir->safe_psql('postgres', 'SELECT timeline, state FROM clone_status() LIMIT 1'), '2|completed',
	'after the failover: cloned from the later timeline');
prove_standby($heir, $late, 'after the failover', slot => 'late');
is($late->safe_psql('postgres', q(SELECT count(*) FROM plain WHERE text = 'after the failover')),
	$heir->safe_psql('postgres', q(SELECT count(*) FROM plain WHERE text = 'after the failover')),
	'after the failover: it has what the new primary wrote');
$late->stop;

done_testing();
