# A half-made clone never counts as a synchronous standby, neither by name nor by '*' (trap 75); and
# a clone can be made while commits wait for the standby that it is to replace (trap 77).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);

for my $names ('s1', '*')
{
	$primary->safe_psql('postgres', 'ALTER SYSTEM RESET synchronous_standby_names');
	$primary->reload;
	$primary->safe_psql('postgres', 'CREATE TABLE committed (n integer)');
	$primary->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = '$names'");
	$primary->reload;
	wait_until('the setting is read', sub {
		$primary->safe_psql('postgres', 'SHOW synchronous_standby_names') eq $names });

	my $standby = new_place("standby_" . ($names eq '*' ? 'any' : $names));
	my $run = start_clone($primary, $standby, '--name', 's1', '-N', '-r', '6M');
	wait_for_copying($primary, $run);
	wait_until('WAL is received', sub {
		$primary->safe_psql('postgres', 'SELECT count(*) FROM pg_stat_replication') eq '1' });
	# A commit in mid-copy waits, as long as only a half-made clone is connected.
	my $commit = StandbyClone::Run->new('psql', '-h', $primary->host, '-p', $primary->port, '-d', 'postgres',
		'-c', 'INSERT INTO committed VALUES (1)');
	my $waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
	wait_until('the commit waits', sub { $primary->safe_psql('postgres', $waiting) eq '1' });
	is($primary->safe_psql('postgres',
			"SELECT string_agg(DISTINCT sync_state, ' ') FROM pg_stat_replication WHERE flush_lsn IS NOT NULL"),
		'', "'$names': it reports no position");
	is(phase_of($primary), 'copying', "'$names': that was in mid-copy");
	exit_is($run, 'completed', "'$names': the clone does not wait for itself");
	is($primary->safe_psql('postgres', $waiting), '1', "'$names': the half-made clone has confirmed no commit");

	start_server_in($standby);
	wait_until('the standby is synchronous', sub {
		$primary->safe_psql('postgres', "SELECT sync_state FROM pg_stat_replication WHERE application_name = 's1'") eq 'sync' });
	is($commit->finish, 0, "'$names': once it is a standby, it counts");
	catch_up($primary, $standby);
	same_content($primary, $standby, "'$names'");
	$standby->stop;
	$primary->safe_psql('postgres', 'ALTER SYSTEM RESET synchronous_standby_names');
	$primary->reload;
	wait_until('the setting is read', sub {
		$primary->safe_psql('postgres', 'SHOW synchronous_standby_names') eq '' });
	$primary->safe_psql('postgres', 'DROP TABLE committed');
}

done_testing();
