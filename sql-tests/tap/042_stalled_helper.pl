# A helper that is frozen (SIGSTOP) with full sockets: DROP DATABASE, DROP TABLESPACE and a fast
# shutdown go through on the donor all the same (traps 73 and 74).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use POSIX ();
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
# With a limit below, so that none is done before the helper is frozen.
fill_large($primary);
$primary->safe_psql('postgres', 'CREATE DATABASE doomed');
my $space = scratch('space');
$primary->safe_psql('postgres', "CREATE TABLESPACE doomed_space LOCATION '$space'");

# Processor time of all streams, in seconds.
sub cpu_seconds
{
	my $ticks = 0;
	for my $pid (split /\n/, $primary->safe_psql('postgres', 'SELECT pid FROM clone_streams'))
	{
		my @fields = split / /, slurp_file("/proc/$pid/stat") =~ s/.*\) //r;
		$ticks += $fields[11] + $fields[12];
	}
	return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Requests lie in the sockets of streams that wait: they shall not wake them again and again.
sub waits_idly
{
	my ($what) = @_;
	my $before = cpu_seconds();
	sleep 3;  # the time that is measured
	return cmp_ok(cpu_seconds() - $before, '<', 0.3, "$what: the streams use no processor time in three seconds");
}

my $place = new_place();
my ($from, $to) = ($space, scratch('to'));
my $run = start_clone($primary, $place, '-N', '-j', '3', '-r', '30M', '-T', "$from=$to");
freeze($primary, $run);
waits_idly('frozen helper');
within(5, 'DROP DATABASE', sub { $primary->safe_psql('postgres', 'DROP DATABASE doomed') });
within(5, 'DROP TABLESPACE', sub { $primary->safe_psql('postgres', 'DROP TABLESPACE doomed_space') });
within(5, 'pg_terminate_backend', sub {
	$primary->safe_psql('postgres', 'SELECT pg_terminate_backend(pid, 4000) FROM clone_streams') });
is($primary->safe_psql('postgres', 'SELECT count(*) FROM clone_streams'), '0', 'terminated streams are gone');
$run->signal('CONT');
exit_is($run, 'completed', 'when it wakes up it goes on');
is_clean_on($primary, 'it woke up', 'clone');

my $slow = new_place('slow');
$run = start_clone($primary, $slow, '-N', '-j', '3', '--name', 'slow', '-r', '100k');
wait_for_copying($primary, $run);
waits_idly('a rate of 100 kB a second');
$primary->safe_psql('postgres', "SELECT pause_standby_clone(id) FROM clone_progress");
wait_until('it pauses', sub { $primary->safe_psql('postgres', "SELECT count(*) FROM clone_streams WHERE waiting_for = 'pause'") eq '3' });
waits_idly('paused');
$primary->safe_psql('postgres', "SELECT cancel_standby_clone(id) FROM clone_progress");
exit_is($run, 'cancelled', 'it is cancelled');

$place->clean_node;
$run = start_clone($primary, $place, '-N', '-j', '3', '-r', '30M', '--reconnect-timeout', '2');
freeze($primary, $run);
# The socket of the clone's WAL sender is full, too.
$primary->safe_psql('postgres', 'SELECT pg_logical_emit_message(false, $$x$$, repeat($$x$$, 1000000)) FROM generate_series(1, 40)');
within(15, 'fast shutdown', sub { $primary->stop('fast') });
$run->signal('CONT');
exit_is($run, 'lost', 'the donor is gone');
is_not_startable($place->data_dir, 'the donor is gone');

# The lease ends a helper that never wakes up.
$primary->append_conf('postgresql.conf', "pg_standby_clone.reconnect_timeout = '3s'\n");
$primary->start;
$run = start_clone($primary, $place, '-N', '-r', '2M');
wait_for_copying($primary, $run);
$run->signal('STOP');
is_clean_on($primary, 'silent', 'clone');
$run->signal('CONT');
wait_until('silent: another session', sub { $run->err =~ /nothing was heard from here for longer.*; going on with another session/ });
is_not_startable($place->data_dir, 'silent');
$run->signal('TERM');
exit_is($run, 'cancelled', 'silent: ended');

done_testing();
