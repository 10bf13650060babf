# The donor crashes when it has made the standby's slot and the clone is not complete. It then knows nothing of the clone,
# but still whose the slot is: the next clone of that name drops it, and no clone of another name takes it. A slot that
# a standby has used since is nobody's to drop.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

my $primary = new_primary();
$primary->safe_psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION');
fill_primary($primary, rows => 1000);
sub slots { return $primary->safe_psql('postgres', q(SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots)) }
sub held { return $primary->safe_psql('postgres', "SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = '$_[0]'") }

# As far as the slot, by a client that says no more.
sub handed_over
{
	my ($target, $slot) = @_;
	my $control = Wire->begun($primary, target => $target, slot => $slot);
	$control->request(Wire::plain('end'));
	$control->frame('label') // die $control->error;
	$control->request(Wire::plain('ack_label'));
	wait_until('the slot is made', sub { slots() =~ /\b$slot\b/ && $control->request(Wire::heartbeat())
		  && unpack('x10 C', $control->frame('status')) == 1 });
	return $control;
}

sub left_behind
{
	my ($target, $slot) = @_;
	my $control = handed_over($target, $slot);
	$primary->stop('immediate');
	$primary->start;
	$control->close;
	is(slots(), $slot, "$slot: the slot outlives the crash, the temporary one does not");
	# What the slot holds is another moment's than what a new clone will need.
	$primary->safe_psql('postgres', 'CREATE TABLE IF NOT EXISTS more (n int); INSERT INTO more VALUES (1); SELECT pg_switch_wal(); CHECKPOINT');
	return held($slot);
}

# --- the next clone of that name, with that slot -------------------------------------------------

my $before = left_behind('left', 'left');
for my $how ([ '-S', 'left' ], [ '-C', '-S', 'left' ])
{
	clone_fails(run_clone($primary, new_place("thief$#$how"), '-N', '--name', 'thief', @$how), 'preflight',
		qr/replication slot "left" was made for a clone to "left", which has not completed/, "another name, @$how");
}
is(held('left'), $before, 'the slot is where it was');

my $place = new_place('left');
exit_is(run_clone($primary, $place, '-N', '--name', 'left', '-C', '-S', 'left'), 'completed', 'the same name');
is(slots(), 'left', 'there is one slot');
isnt(held('left'), $before, 'a new one');
like(content_of($primary->logfile), qr/drops replication slot "left", which an earlier clone to "left" has left behind/, 'the log says so');
prove_standby($primary, $place, 'the same name', slot => 'left', amcheck => 0);
$place->stop;

# Complete, it is the standby's: it stays when the donor crashes, and when another clone of the name fails.
$primary->stop('immediate');
$primary->start;
my $cancelled = Wire->begun($primary, target => 'left', slot => 'left');
$cancelled->request(Wire::outcome(6, 'enough'));
$cancelled->error;
is_clean_on($primary, 'the slot of a standby', 'left');
is(slots(), 'left', 'the slot of a complete standby stays');
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('left')));

# --- the next clone of that name fails, or wants no slot -----------------------------------------

left_behind('failing', 'old');
my $failing = Wire->begun($primary, target => 'failing', slot => 'new');
is(slots() =~ /\b(old|new)\b/ ? $1 : 'neither', 'neither', 'the slot goes when the next clone of the name begins');
$failing->request(Wire::outcome(5, 'of no use'));
$failing->error;
is_clean_on($primary, 'the next one fails');

left_behind('without', 'without');
exit_is(run_clone($primary, new_place('without'), '-N', '--name', 'without', '--no-slot'), 'completed', 'without a slot');
is(slots(), '', 'none is left');

# --- slots that are not to be dropped -----------------------------------------------------------

# A slot that the user names is his.
my $given = left_behind('given', 'given');
exit_is(run_clone($primary, new_place('given'), '-N', '--name', 'given', '-S', 'given'), 'completed', 'the slot is named');
is(held('given'), $given, 'and is taken as it stands');
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('given')));

# The standby was complete, which the donor did not hear, and has streamed since.
left_behind('used', 'used');
$primary->safe_psql('postgres', q(SELECT pg_replication_slot_advance('used', pg_current_wal_lsn())));
my $used = held('used');
exit_is(run_clone($primary, new_place('used'), '-N', '--name', 'used', '--no-slot'), 'completed', 'another clone of that name');
is(held('used'), $used, 'the slot that has been used since stays');
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('used')));

# From phase `starting` on it is the standby's, though the clone goes on.
my $starting = handed_over('starting', 'starting');
$starting->request(Wire::heartbeat(phase => 7));
wait_until('the slot is given away', sub { !-e $primary->data_dir . '/pg_replslot/starting/standby_clone' });
$primary->stop('immediate');
$primary->start;
$starting->close;
exit_is(run_clone($primary, new_place('starting'), '-N', '--name', 'starting', '--no-slot'), 'completed', 'a clone that was starting');
is(slots(), 'starting', 'its slot stays');

# --- the worker is terminated when the slot is made: the helper knows what the directory is -----------------

sub worker_ends
{
	my ($name) = @_;
	my $control = handed_over($name, $name);
	$primary->safe_psql('postgres', q(SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'standby clone worker'));
	wait_until("$name: the worker is gone", sub {
		$primary->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'standby clone worker')) eq '0' });
	like(slots(), qr/\b$name\b/, "$name: the slot stays while nobody knows");
	return $control;
}
sub ends_as
{
	my ($name, $state) = @_;
	return ok(wait_until("$name: it ends", sub { status_of($primary, 'target, state') eq "$name|$state" }), "$name: $state");
}

my $complete = worker_ends('complete');
$complete->request(Wire::outcome(4, ''));
ends_as('complete', 'completed');
$complete->close;
is(slots(), 'complete starting', 'complete: the slot is the standby\'s');
ok(!-e $primary->data_dir . '/pg_replslot/complete/standby_clone', 'complete: for good');
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('complete')));

my $useless = worker_ends('useless');
$useless->request(Wire::outcome(5, 'of no use'));
ends_as('useless', 'failed');
$useless->close;
is(slots(), 'starting', 'useless: the slot goes');

# An ordinary failure leaves nothing.
my $lost = handed_over('lost', 'lost');
$lost->request(Wire::outcome(5, 'of no use'));
$lost->error;
is_clean_on($primary, 'a failure', 'starting');

done_testing();
