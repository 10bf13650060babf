# The helper ends in mid-copy: by signal, at each of which the clone ends with it; without a word
# (SIGKILL), after which the lease does. Nothing startable is left; what was copied is kept, and the
# next run goes on with it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use StandbyClone;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '4s'\n");
fill_primary($primary);
my $place = new_place();
my $directory = $place->data_dir;
# More than all streams have under way: then some chunks are whole, and there is something to keep.
my $some_chunks = 6 * 1024 * 1024;

for my $signal (qw(INT TERM HUP))
{
	my $run = start_clone($primary, $place, '-N', '-r', '4M');
	wait_for_copying($primary, $run, $some_chunks);
	my $before = time();
	$run->signal($signal);
	exit_is($run, 'cancelled', "SIG$signal");
	cmp_ok(time() - $before, '<', 3, "SIG$signal: at once");
	like($run->err, qr/error: stopped.*\n.*is kept, and no server can be started there: run the same command again.*or remove that directory/s,
		"SIG$signal: says what is kept, how to go on and how to be rid of it");
	ok(-e "$directory/pg_standby_clone.journal", "SIG$signal: the directory is kept");
	ok(!-e "$directory/postmaster.pid", "SIG$signal: unlocked");
	is_not_startable($directory, "SIG$signal");
	is_clean_on($primary, "SIG$signal");
	is($primary->safe_psql('postgres', 'SELECT state, error FROM clone_status() LIMIT 1'),
		"cancelled|stopped by SIG$signal", "SIG$signal: the donor knows");
}

# Ended before anything came, there is nothing to keep.
my $early = new_place('early');
my $run = start_clone($primary, $early, '--name', 'early', '-r', '32k', '-N');
wait_until('the clone is known', sub { phase_of($primary) ne '' });
$run->signal('TERM');
$run->finish;
unlike($run->err, qr/could not/, 'ended early: in order');

# Without a word: the journal is all that the next run has.
$run = start_clone($primary, $place, '-N', '-r', '2M');
wait_for_copying($primary, $run);
$run->signal('KILL');
is($run->finish, 'signal 9', 'killed');
is_not_startable($directory, 'killed');
ok(wait_until('the donor notices', sub {
	$primary->safe_psql('postgres', 'SELECT state FROM clone_progress') eq 'disconnected' }, 20),
	'killed: the clone is shown as disconnected');
is_clean_on($primary, 'killed');
like($primary->safe_psql('postgres', 'SELECT state, error FROM clone_status() LIMIT 1'),
	qr/^failed\|the helper has been silent for longer than pg_standby_clone.reconnect_timeout/,
	'killed: the lease has ended it');
exit_is($run = run_clone($primary, $place, '-N'), 'completed', 'the next run');
like($run->err, qr/going on with the unfinished clone in .*is compared/, 'the next run says how it goes on');
prove_standby($primary, $place, 'the next run');
$place->stop;

# While the checkpoint is waited for, a phase of its own that may take minutes: a cancel is heard.
$primary->safe_psql('postgres', 'UPDATE plain SET text = text || 1; UPDATE toasted SET text = text || 1;');
my $other = new_place('other');
$run = start_clone($primary, $other, '--name', 'other', '-c', 'spread');
wait_until('the checkpoint is waited for', sub { phase_of($primary) eq 'checkpoint' });
is($primary->safe_psql('postgres', 'SELECT phase FROM pg_stat_progress_basebackup'),
	'waiting for checkpoint to finish', 'spread checkpoint: the server shows it too');
ok(wait_until('it says so', sub { $run->err =~ /waiting for the donor's checkpoint/ }, 10),
	'spread checkpoint: so does the program');
my $before = time();
$run->signal('TERM');
exit_is($run, 'cancelled', 'spread checkpoint');
cmp_ok(time() - $before, '<', 3, 'spread checkpoint: cancelled at once');
is_clean_on($primary, 'spread checkpoint', 'clone');
ok(!-e $other->data_dir, 'spread checkpoint: nothing is left');

done_testing();
