# Two agents with two targets at once are told apart everywhere; one of them is killed in mid-clone,
# and what its successor finds is no obstacle.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = 60s\n");
fill_primary($primary);
my ($one, $two) = (new_place('one'), new_place('two'));
my $agent_one = start_agent($primary, $one, '--name', 'one');
my $agent_two = start_agent($primary, $two, '--name', 'two', '--start', '--config-file', own_config($two));
is($primary->safe_psql('postgres', q(SELECT string_agg(target, ' ' ORDER BY target) FROM clone_agents)),
	'one two', 'two agents');

my $slowly = '{"max_rate": "2M", "jobs": 1}';
my $id_one = request($primary, 'one', $slowly);
my $id_two = request($primary, 'two', $slowly);
wait_until('both copy', sub { $primary->safe_psql('postgres',
		q(SELECT string_agg(id || ' ' || target, ', ' ORDER BY id) FROM clone_progress
		  WHERE phase = 'copying' AND bytes_done > 0)) eq "$id_one one, $id_two two" });

$agent_one->signal('KILL');
$agent_one->finish;
is_not_startable($one->data_dir, 'killed');
$primary->safe_psql('postgres', "SELECT set_clone_rate($id_two, NULL)");
state_is($primary, $id_two, 'completed', 'the other one');

$agent_one = start_agent($primary, $one, '--name', 'one');
like($primary->safe_psql('postgres',
		q(SELECT destination_state FROM clone_agents WHERE target = 'one')),
	qr/^(?:unfinished clone|being cloned)$/, 'killed: what it left is seen');
# Its successor goes on with the request, in the session of the one that was killed.
wait_until('the request is taken up again', sub { $agent_one->err =~ /carrying out request $id_one: / });
$primary->safe_psql('postgres', "SELECT set_clone_rate($id_one, NULL)");
state_is($primary, $id_one, 'completed', 'killed, taken up again');
like($agent_one->err, qr/going on with the unfinished clone in .*, in the same session/, 'killed: where it was');
is($primary->safe_psql('postgres', q(SELECT count(*) FROM clone_status() WHERE target = 'one')), '1',
	'killed: it is one clone to those who look');
# Only now is nothing written any more: the primary keeps a history.
prove_started($primary, $two, 'the other one', slot => 'two');
prove_standby($primary, $one, 'killed and made', slot => 'one');
$_->stop for ($one, $two);
for my $agent ($agent_one, $agent_two)
{
	$agent->signal('TERM');
	is($agent->finish, 0, 'the agent ends in order');
}
$primary->stop;
done_testing();
