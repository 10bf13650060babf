# A donor on whose file system each look at a file takes long: it is checked and cloned all the same. While it lists, the
# helper's heartbeats are heard (the list outlasts the lease), and so are a pause, a cancel, and whoever ends the process.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Faults;
use StandbyClone;
use Wire;

my $faults = Faults->new or plan skip_all => 'needs a C compiler';
my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = 2s\n", start => 0);
$faults->around(sub { $primary->start });
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone; CREATE ROLE replicator LOGIN REPLICATION');
# As slow as it was, and this number of files.
sub slow { return $faults->set([ 'lstat', $_[1] // 'base/', 0, "+$_[0]" ]) }
sub last_clone { return $primary->safe_psql('postgres', 'SELECT coalesce(max(id), 0) FROM clone_status()') }

my $place = new_place();
slow(4);
my $check = StandbyClone::Run->new('pg_standby_clone', 'check', '-D', $place->data_dir, '-h', $primary->host, '-p', $primary->port, '-w', '--json');
is($check->finish, 0, 'the check is content') or diag($check->out . $check->err);
like($check->out, qr/"check":"size"[^}]* in \d+ files/, 'and says how much there is');
cmp_ok($faults->count, '>', 500, 'each file was looked at');
cmp_ok($faults->count, '<', 1500, 'once');

# --- the list takes longer than the lease ------------------------------------------------------

slow(4);
my $before = last_clone();
my $began = time();
my $run = start_clone($primary, $place, '-N');
exit_is($run, 'completed', 'a clone whose list outlasts its lease');
cmp_ok(time() - $began, '>', 2.5, 'it did');
is(last_clone() - $before, 1, 'in one session');
is($primary->safe_psql('postgres', 'SELECT bytes_done = bytes_total AND files_done = files_total FROM clone_status() LIMIT 1'), 't',
	'what was to be copied was');

# --- what is heard meanwhile -----------------------------------------------------------------

# Whatever happens, the list would go on for a minute.
slow(60);
sub listing
{
	my ($what) = @_;
	$run = start_clone($primary, new_place($what), '-N', '--name', 'other');
	my $count = $faults->count;
	wait_until("$what: it lists", sub { $faults->count > $count + 10 });
	return last_clone();
}
my $id = listing('cancelled');
within(2.5, 'a pause is heard', sub {
	$primary->safe_psql('postgres', "SELECT pause_standby_clone($id)");
	wait_until('it is paused', sub { $primary->safe_psql('postgres', "SELECT state FROM clone_status($id)") eq 'paused' });
});
within(2.5, 'a cancel is obeyed', sub {
	$primary->safe_psql('postgres', "SELECT cancel_standby_clone($id)");
	exit_is($run, 'cancelled', 'cancelled while the donor lists');
});
is_clean_on($primary, 'cancelled', 'clone');

$id = listing('terminated');
my $process = q(pid FROM pg_stat_activity WHERE application_name = 'pg_standby_clone' AND query LIKE '%stream%');
my $pid = $primary->safe_psql('postgres', "SELECT $process ORDER BY backend_start LIMIT 1");
within(2.5, 'a process that lists ends when it is told to', sub {
	$primary->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_until('it has ended', sub { $primary->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") eq '0' });
});
$faults->clear;
exit_is($run, 'completed', 'the list is asked for again');
is(last_clone(), $id, 'in the same session');
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('other')");

# A helper that reads nothing of a list that no socket holds: the donor hears its heartbeats, and its silence.
my $extra = $primary->data_dir . '/extra';
mkdir $extra or die "$extra: $!";
append_to_file("$extra/" . $_ . 'x' x 200, '') for 1 .. 8000;
my $control = Wire->begun($primary, target => 'deaf');
$control->request(Wire::plain('list'));
my $end = time() + 5;
while (time() < $end)
{
	$control->request(Wire::heartbeat());
	select undef, undef, undef, 0.3;
}
is($primary->safe_psql('postgres', "SELECT state FROM clone_progress WHERE target = 'deaf'"), 'running',
	'heartbeats are heard while the socket is full');
within(8, 'its silence ends the clone and the connection', sub {
	wait_until('the process is gone', sub {
		$primary->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = @{[$control->pid]}") eq '0' });
});
is_clean_on($primary, 'deaf', 'clone');
$control->close;
unlike(content_of($primary->logfile), qr/terminated by signal|PANIC|XX000|TRAP:/, 'no process crashed');

done_testing();
