# A standby as the donor: the clone is made from it and follows it; promotion in mid-copy ends it
# cleanly (traps 40 to 43).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
command_ok([ 'pgbench', '-i', '-q', '-s', '1', '-h', $primary->host, '-p', $primary->port, 'postgres' ],
	'pgbench tables');
my $donor = new_place('donor');
exit_is(run_clone($primary, $donor, '-N', '--name', 'donor'), 'completed', 'the donor');
start_server_in($donor, conf => "hot_standby_feedback = on\n");
catch_up($primary, $donor);

# Quiet: the end of the backup lies where nothing more comes.
my $quiet = new_place('quiet');
exit_is(run_clone($donor, $quiet, '-N', '--name', 'quiet'), 'completed', 'from a quiet standby');
cmp_ok($donor->safe_psql('postgres', 'SELECT id FROM clone_status() LIMIT 1'), '<', 0,
	'its id cannot clash with those of the primary');
is($donor->safe_psql('postgres', 'SELECT state FROM clone_status() LIMIT 1'), 'completed', 'and it has a state');
prove_standby($donor, $quiet, 'from a quiet standby', slot => 'quiet');
$quiet->stop;

# While the primary is written to.
my $load = StandbyClone::Run->new('pgbench', '-n', '-c', '2', '-T', '100', '-h', $primary->host, '-p',
	$primary->port, 'postgres');
wait_until('writes arrive', sub {
	$donor->safe_psql('postgres', 'SELECT count(*) > 100 FROM pgbench_history') eq 't' });
my $busy = new_place('busy');
exit_is(run_clone($donor, $busy, '-N', '--name', 'busy', '-r', '15M'), 'completed', 'from a busy standby');
ok($load->is_running, 'the load went on');
$load->signal('INT');
$load->finish;
catch_up($primary, $donor);
prove_standby($donor, $busy, 'from a busy standby', slot => 'busy');
same_content($primary, $busy, 'from a busy standby, compared with the primary');
$busy->stop;

my $late = new_place('late');
my $run = start_clone($donor, $late, '-N', '--name', 'late', '-r', '2M');
wait_for_copying($donor, $run);
$donor->promote;
clone_fails($run, 'donor', qr/promoted during the clone/, 'promotion in mid-copy');
is_not_startable($late->data_dir, 'promotion in mid-copy');
is_clean_on($donor, 'promotion in mid-copy', 'quiet', 'busy');
exit_is(run_clone($donor, $late, '-N', '--name', 'late'), 'completed', 'from the new primary');
prove_standby($donor, $late, 'from the new primary', slot => 'late');

done_testing();
