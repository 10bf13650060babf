# The donor is a standby and the helper is frozen (SIGSTOP) with full sockets: what the primary drops is replayed on
# the donor without a wait, and the donor is shut down as fast as ever (traps 73 and 74).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
# More than sockets and buffers take in, each stream in a large file.
$primary->safe_psql('postgres', <<'SQL');
CREATE TABLE big1 AS SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 80000) n;
CREATE TABLE big2 AS SELECT * FROM big1;
CREATE TABLE big3 AS SELECT * FROM big1;
CREATE DATABASE doomed;
SQL
my ($space, $donors, $standbys) = map { scratch($_) } qw(space donors standbys);
$primary->safe_psql('postgres', "CREATE TABLESPACE doomed_space LOCATION '$space'");
my $donor = new_place('donor');
exit_is(run_clone($primary, $donor, '-N', '--name', 'donor', '-T', "$space=$donors"), 'completed', 'the donor');
start_server_in($donor);
catch_up($primary, $donor);

sub within
{
	my ($limit, $what, $code) = @_;
	my $before = time();
	$code->();
	my $took = time() - $before;
	note(sprintf '%s took %.2f s', $what, $took);
	return cmp_ok($took, '<', $limit, "$what: within $limit s");
}

my $place = new_place();
my $run = start_clone($donor, $place, '-N', '-j', '3', '-r', '30M', '-T', "$donors=$standbys");
wait_for_copying($donor, $run);
wait_until('all streams send', sub {
	$donor->safe_psql('postgres', 'SELECT count(*) FROM clone_streams WHERE bytes_sent > 0') eq '3' });
$run->signal('STOP');
wait_until('all streams wait for the helper', sub {
	$donor->safe_psql('postgres', "SELECT count(*) FROM clone_streams WHERE waiting_for = 'network'") eq '3' });
for my $drop ('DROP DATABASE doomed', 'DROP TABLESPACE doomed_space', 'DROP TABLE big1')
{
	$primary->safe_psql('postgres', $drop);
	within(5, "replay of $drop", sub { catch_up($primary, $donor) });
}
within(10, 'fast shutdown', sub { $donor->stop('fast') });
$donor->start;
catch_up($primary, $donor);
$run->signal('CONT');
# It begins another session, in which its mapping is of no tablespace any more.
clone_fails($run, 'usage', qr/doomed_space|\Q$donors\E/, 'it wakes up');
is_not_startable($place->data_dir, 'it wakes up');
exit_is(run_clone($donor, $place, '-N'), 'completed', 'the same without the tablespace');
is_clean_on($donor, 'it woke up', 'clone');
prove_standby($donor, $place, 'it woke up');

done_testing();
