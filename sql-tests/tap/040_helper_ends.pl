# The helper ends in mid-copy: by signal, at each of which the clone ends with it; without a word
# (SIGKILL), after which the lease does. Nothing startable is left, and the next run clears up.
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

for my $signal (qw(INT TERM HUP))
{
	my $run = start_clone($primary, $place, '-N', '-r', '2M');
	wait_for_copying($primary, $run);
	my $before = time();
	$run->signal($signal);
	exit_is($run, 'cancelled', "SIG$signal");
	cmp_ok(time() - $before, '<', 3, "SIG$signal: at once");
	like($run->err, qr/error: stopped.*\n.*removed/s, "SIG$signal: says what happened to the directory");
	ok(!-e $directory, "SIG$signal: the directory it made is gone");
	is_clean_on($primary, "SIG$signal");
	is($primary->safe_psql('postgres', 'SELECT state, error FROM clone_status() LIMIT 1'),
		'cancelled|stopped', "SIG$signal: the donor knows");
}

# Files of others in a directory that was there and empty before: it stays, emptied.
mkdir $directory, 0700;
my $run = start_clone($primary, $place, '-N', '-r', '2M');
wait_for_copying($primary, $run);
$run->signal('TERM');
exit_is($run, 'cancelled', 'a directory that was there');
ok(-d $directory && !glob("$directory/*"), 'a directory that was there: stays, and is empty');

# A second signal does not wait for anything; what is left is cleared by the next run.
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
like($run->err, qr/removed an unfinished clone/, 'the next run says that it cleared up');
prove_standby($primary, $place, 'the next run');
$place->stop;

# While the checkpoint is waited for, a phase of its own that may take minutes: a cancel is heard.
$primary->safe_psql('postgres', 'UPDATE plain SET text = text || 1; UPDATE toasted SET text = text || 1;');
my $other = new_place('other');
$run = start_clone($primary, $other, '--name', 'other', '-c', 'spread');
wait_until('the checkpoint is waited for', sub { phase_of($primary) eq 'checkpoint' });
is($primary->safe_psql('postgres', 'SELECT phase FROM pg_stat_progress_basebackup'),
	'waiting for checkpoint to finish', 'spread checkpoint: the server shows it too');
like($run->err, qr/waiting for the donor's checkpoint/, 'spread checkpoint: so does the program');
my $before = time();
$run->signal('TERM');
exit_is($run, 'cancelled', 'spread checkpoint');
cmp_ok(time() - $before, '<', 3, 'spread checkpoint: cancelled at once');
is_clean_on($primary, 'spread checkpoint', 'clone');
ok(!-e $other->data_dir, 'spread checkpoint: nothing is left');

done_testing();
