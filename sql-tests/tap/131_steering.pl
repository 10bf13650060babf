# A clone steered from another session while it runs: pause, resume, rate, cancel, each within two
# seconds and in whatever phase; two clones at once are steered apart; waiting for one holds no snapshot.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Path qw(rmtree);
use Time::HiRes qw(time);
use StandbyClone;

my $primary = new_primary(conf => "pg_standby_clone.pause_timeout = '1h'\n");
fill_primary($primary);
sub value { return $primary->safe_psql('postgres', $_[0]) }
sub newest { return value('SELECT max(id) FROM clone_status()') }
# Within the two seconds that are promised, with what a loaded machine adds.
sub soon { my ($what, $code) = @_; ok(wait_until($what, $code, 4), $what) }
# For what must not happen there is no condition to poll for.
sub pass_time { my ($seconds) = @_; my $end = time() + $seconds; wait_until('time passes', sub { time() >= $end }) }
sub psql_run
{
	return StandbyClone::Run->new('psql', '-XAtq', '-d', $primary->connstr('postgres'), map { ('-c', $_) } @_);
}

# --- pause and resume -----------------------------------------------------------------
# psql shows notifications after each statement.
my $listener = psql_run('LISTEN pg_standby_clone', ('SELECT pg_sleep(0.2)') x 500);
my $place = new_place();
my $run = start_clone($primary, $place, '-N', '--json', '-r', '4M', '-j', '3');
wait_for_copying($primary, $run);
my $id = newest();
my $waiter = psql_run("CALL wait_for_standby_clone($id)");
is(value("SELECT pause_standby_clone($id)"), 't', 'paused');
is(value("SELECT state FROM clone_status($id)"), 'paused', 'it says so at once');
soon('each stream waits for the pause to end', sub {
	value("SELECT count(*) FROM clone_streams WHERE waiting_for = 'pause'") eq '3' });
my $sent = value("SELECT bytes_sent FROM clone_status($id)");
pass_time(2);
is(value("SELECT bytes_sent - $sent FROM clone_status($id)"), '0', 'nothing is sent');
is(value("SELECT state FROM clone_progress"), 'paused', 'it is not taken for disconnected');
like($run->err . $run->out, qr/"type":"state","state":"paused"/, 'the program says so');
like($run->out, qr/"type":"progress","phase":"copying","state":"paused"/, 'and so does each line of progress');
is(value("SELECT pause_standby_clone($id)"), 't', 'pausing twice is no error');
is(value("SELECT string_agg(DISTINCT coalesce(backend_xmin::text, 'none'), ',') FROM pg_stat_activity "
		. "WHERE query ~ '^CALL wait_for' OR application_name = 'pg_standby_clone' OR backend_type = 'standby clone worker'"),
	'none', 'who waits and who clones holds no snapshot');
ok($waiter->is_running, 'the wait goes on over the pause');
is(value("SELECT resume_standby_clone($id)"), 't', 'resumed');
is(value("SELECT state FROM clone_status($id)"), 'running', 'it says so');
soon('it goes on', sub { value("SELECT bytes_sent > $sent FROM clone_status($id)") eq 't' });
like($run->out, qr/"state":"paused".*"type":"state","state":"running"/s, 'the program says that too');

# --- the rate, while it runs ----------------------------------------------------------
is(value("SELECT set_clone_rate($id, '32k')"), 't', 'slowed down');
$sent = value("SELECT bytes_sent FROM clone_status($id)");
my $from = time();
pass_time(2);
my $got = value("SELECT bytes_sent - $sent FROM clone_status($id)");
cmp_ok($got, '<', 400_000 * (time() - $from), 'a limit of 32 kB/s is felt by all streams together');
is(value("SELECT set_clone_rate($id, NULL)"), 't', 'the limit is lifted');
exit_is($run, 'completed', 'steered');
is($waiter->finish, 0, 'the wait ends');
is($waiter->out, "completed\n", 'with the state');
prove_standby($primary, $place, 'steered');
$place->stop;
is(value("SELECT pause_standby_clone($id), resume_standby_clone($id), set_clone_rate($id, '1M'), cancel_standby_clone($id)"),
	'f|f|f|f', 'one that has ended is not steered');
# The session that steers and the clone worker may both tell of one change: a hint said twice is none the worse.
sub notified
{
	my @states = $listener->out =~ /payload "\{"id":$id,"state":"(\w+)"\}"/g;
	return join ' ', map { $states[$_] } grep { $_ == 0 || $states[$_] ne $states[ $_ - 1 ] } 0 .. $#states;
}
soon('each change of state was notified', sub { notified() eq 'running paused running completed' })
  or diag($listener->out);
$listener->signal('TERM');

# --- cancel in each phase -------------------------------------------------------------
sub cancelled
{
	my ($what, $run, $directory, %with) = @_;
	my $id = newest();
	my $before = time();
	is(value("SELECT cancel_standby_clone($id)"), 't', "$what: cancelled");
	$with{then}->() if $with{then};
	exit_is($run, 'cancelled', $what);
	cmp_ok(time() - $before, '<', 4, "$what: within two seconds, and some for a slow machine");
	like($run->err, qr/error: the clone was cancelled on the donor: cancelled by role/, "$what: says who did it");
	like(value("SELECT state, error FROM clone_history WHERE id = $id"), qr/^cancelled\|cancelled by role "\w+"$/,
		"$what: the history says so");
	is_clean_on($primary, $what, 'clone');
	is_not_startable($directory, $what);
	# The next one shall have all to copy: comparing is over too soon to be caught in a phase.
	rmtree($directory);
}

my $other = new_place('other');
my @arguments = ($other, '-N', '--name', 'other', '-r', '4M');
$primary->safe_psql('postgres', 'UPDATE plain SET text = text || 1; UPDATE toasted SET text = text || 1;');
$run = start_clone($primary, @arguments, '-c', 'spread');
wait_until('the checkpoint is waited for', sub { phase_of($primary) eq 'checkpoint' });
is(value('SELECT pause_standby_clone(max(id)) FROM clone_status()'), 't', 'checkpoint: can be paused');
is(value('SELECT state, phase FROM clone_progress'), 'paused|checkpoint', 'checkpoint: and is');
cancelled('checkpoint', $run, $other->data_dir);

$run = start_clone($primary, @arguments);
wait_for_copying($primary, $run);
cancelled('copying', $run, $other->data_dir);

$run = start_clone($primary, @arguments);
wait_for_copying($primary, $run);
value('SELECT pause_standby_clone(max(id)) FROM clone_status()');
soon('paused', sub { value("SELECT bool_and(waiting_for = 'pause') FROM clone_streams") eq 't' });
cancelled('copying, paused', $run, $other->data_dir);

# A WAL sender that does not send keeps the clone in phase wal.
$run = start_clone($primary, @arguments);
wait_for_copying($primary, $run);
my $sender = value("SELECT pid FROM pg_stat_replication WHERE application_name = 'pg_standby_clone'");
kill 'STOP', $sender;
value('SELECT set_clone_rate(max(id), NULL) FROM clone_status()');
wait_until('the WAL is waited for', sub { phase_of($primary) eq 'wal' });
is(value('SELECT pause_standby_clone(max(id)) FROM clone_status()'), 't', 'wal: can be paused');
is(value('SELECT state, phase FROM clone_progress'), 'paused|wal', 'wal: and is');
is(value('SELECT resume_standby_clone(max(id)) FROM clone_status()'), 't', 'wal: and resumed');
is(value('SELECT state, phase FROM clone_progress'), 'running|wal', 'wal: and runs');
cancelled('wal', $run, $other->data_dir, then => sub { kill 'CONT', $sender });

# A worker that does not work keeps it in phase finishing.
$run = start_clone($primary, @arguments);
wait_for_copying($primary, $run);
my $worker = value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'standby clone worker'");
$sender = value("SELECT pid FROM pg_stat_replication WHERE application_name = 'pg_standby_clone'");
kill 'STOP', $sender;
value('SELECT set_clone_rate(max(id), NULL) FROM clone_status()');
wait_until('the WAL is waited for', sub { phase_of($primary) eq 'wal' });
wait_until('the label is there', sub { value('SELECT stop_lsn IS NOT NULL FROM clone_status() LIMIT 1') eq 't' });
kill 'STOP', $worker;
kill 'CONT', $sender;
wait_until('all but the hand-over is done', sub { phase_of($primary) eq 'finishing' });
cancelled('finishing', $run, $other->data_dir, then => sub { kill 'CONT', $worker });

# --- two at once ----------------------------------------------------------------------
my $third = new_place('third');
my $first = start_clone($primary, $other, '-N', '--name', 'other', '-r', '4M');
my $second = start_clone($primary, $third, '-N', '--name', 'third', '-r', '4M');
wait_until('both copy', sub { value("SELECT count(*) FROM clone_progress WHERE phase = 'copying' AND bytes_done > 0") eq '2' });
my %id = map { split /\|/ } split /\n/, value('SELECT target, id FROM clone_progress');
value("SELECT pause_standby_clone($id{other})");
is(value('SELECT string_agg(target || state, $$ $$ ORDER BY target) FROM clone_progress'), 'otherpaused thirdrunning',
	'one of two is paused');
value("SELECT set_clone_rate($id{third}, NULL)");
exit_is($second, 'completed', 'the one that is not paused');
is(value("SELECT state FROM clone_status($id{other})"), 'paused', 'the other is still paused');

# --- the longest pause ----------------------------------------------------------------
$primary->append_conf('postgresql.conf', "pg_standby_clone.pause_timeout = '1s'\n");
$primary->reload;
exit_is($first, 'donor', 'paused for too long');
like($first->err, qr/paused for longer than pg_standby_clone\.pause_timeout/, 'paused for too long: says so');
is_clean_on($primary, 'paused for too long', 'clone', 'third');

done_testing();
