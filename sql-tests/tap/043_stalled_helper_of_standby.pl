# The donor is a standby and the helper is frozen (SIGSTOP) with full sockets: what the primary drops is replayed on
# the donor without a wait, and the donor is shut down as fast as ever (traps 73 and 74).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
fill_large($primary);
$primary->safe_psql('postgres', 'CREATE DATABASE doomed');
my ($space, $donors, $standbys) = map { scratch($_) } qw(space donors standbys);
$primary->safe_psql('postgres', "CREATE TABLESPACE doomed_space LOCATION '$space'");
my $donor = new_place('donor');
exit_is(run_clone($primary, $donor, '-N', '--name', 'donor', '-T', "$space=$donors"), 'completed', 'the donor');
start_server_in($donor);
catch_up($primary, $donor);

my $place = new_place();
my $run = start_clone($donor, $place, '-N', '-j', '3', '-r', '30M', '-T', "$donors=$standbys");
freeze($donor, $run);
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
