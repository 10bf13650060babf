# A clone of an agent's is cancelled from SQL, paused, ended with its agent: each time the agent, or
# the one after it, takes the next request.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $primary = new_primary();
fill_primary($primary);
my $standby = new_place('standby');
my $slowly = '{"max_rate": "2M", "jobs": 2}';
my $agent = start_agent($primary, $standby);

sub request_that_copies
{
	my $id = request($primary, 'clone', $slowly);
	wait_until("clone $id copies", sub {
		$primary->safe_psql('postgres',
			"SELECT count(*) FROM clone_progress WHERE id = $id AND phase = 'copying' AND bytes_done > 0") });
	return $id;
}

# Cancelled.
my $id = request_that_copies();
is($primary->safe_psql('postgres', 'SELECT destination_state FROM clone_agents'), 'being cloned',
	'its directory is being cloned into');
my $began = time();
is($primary->safe_psql('postgres', "SELECT cancel_standby_clone($id)"), 't', 'cancelled');
state_is($primary, $id, 'cancelled', 'cancelled');
cmp_ok(time() - $began, '<', 10, 'cancelled: soon');
ok($agent->is_running, 'cancelled: the agent waits on');
wait_until('the agent has seen the end', sub { $agent->err =~ /request $id has failed; waiting/ });
is_clean_on($primary, 'cancelled');

# Paused, resumed.
$id = request_that_copies();
$primary->safe_psql('postgres', "SELECT pause_standby_clone($id)");
state_is($primary, $id, 'paused', 'paused');
$primary->safe_psql('postgres', "SELECT resume_standby_clone($id)");
$primary->safe_psql('postgres', "SELECT set_clone_rate($id, NULL)");
state_is($primary, $id, 'completed', 'paused and resumed');
prove_standby($primary, $standby, 'paused and resumed');
$standby->stop;
PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $standby->data_dir);
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));

# The agent is stopped in the middle.
wait_until('the agent has seen the end', sub { $agent->err =~ /request $id has been carried out/ });
$id = request_that_copies();
$agent->signal('TERM');
is($agent->finish, 8, 'stopped in the middle: exit code for "cancelled"');
state_is($primary, $id, 'cancelled', 'stopped in the middle');
is_not_startable($standby->data_dir, 'stopped in the middle');

# Its successor takes the next one, from whatever the directory holds.
$agent = start_agent($primary, $standby, '--json');
$id = request($primary, 'clone');
state_is($primary, $id, 'completed', 'after it');
wait_until('the JSON agent has told the result', sub { $agent->out =~ /"type":"result"/ });
is(scalar(() = $agent->out =~ /^(?!\{"type":".*\}$)/mg), 0, 'the JSON agent says nothing but objects');
prove_standby($primary, $standby, 'after it');
$standby->stop;
$agent->signal('INT');
is($agent->finish, 0, 'Ctrl-C while it waits');
$primary->stop;
done_testing();
