# The primary is restarted under an agent that waits, and under one that clones; another host becomes
# the primary. The agent is there again by itself.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary();
fill_primary($primary);
my $second = new_place('second');
exit_is(run_clone($primary, $second, '--name', 'second', '--start', '--config-file',
		own_config($second)), 'completed', 'a second host');
adopt($second);

my $standby = new_place('standby');
my $hosts = join ',', map { $_->host } ($second, $primary);
my $ports = join ',', map { $_->port } ($second, $primary);
my $agent = start_agent($primary, $standby, '-d', "host=$hosts port=$ports dbname=postgres");

sub is_attached_to
{
	my ($node, $what) = @_;
	wait_until("$what: the agent is back", sub {
		$node->safe_psql('postgres', 'SELECT count(*) FROM clone_agents') eq '1' });
	ok($agent->is_running, "$what: the agent is back");
}

$primary->stop('immediate');
$primary->start;
is_attached_to($primary, 'restart while it waits');

# In mid-clone: the request goes on under its number.
my $id = request($primary, 'clone', '{"max_rate": "2M"}');
wait_until('it copies', sub { $primary->safe_psql('postgres',
		q(SELECT count(*) FROM clone_progress WHERE phase = 'copying' AND bytes_done > 0)) });
$primary->stop('immediate');
$primary->start;
is_attached_to($primary, 'restart in mid-clone');
wait_until('it copies again', sub { $primary->safe_psql('postgres',
		"SELECT count(*) FROM clone_progress WHERE id = $id AND phase = 'copying'") });
$primary->safe_psql('postgres', "SELECT set_clone_rate($id, NULL)");
state_is($primary, $id, 'completed', 'restart in mid-clone');
is($primary->safe_psql('postgres', "SELECT error FROM clone_history WHERE id = $id"), '', 'restart in mid-clone: no error is left');
wait_until('the agent has seen the end', sub { $agent->err =~ /request $id has been carried out; waiting/ });

PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $standby->data_dir);

# A failover: the standby that nobody could listen on becomes the primary.
wait_until('the second host has all', sub { $second->safe_psql('postgres',
		"SELECT count(*) FROM clone_status($id)") });
catch_up($primary, $second);
$primary->stop('fast');
$second->promote;
is_attached_to($second, 'failover');
$id = request($second, 'clone');
state_is($second, $id, 'completed', 'failover');
like(content_of($standby->data_dir . '/postgresql.auto.conf'), qr/primary_conninfo = .*host=''\Q$hosts\E''/,
	'the standby keeps all hosts, the one with its slot first');
like(content_of($standby->data_dir . '/postgresql.auto.conf'), qr/target_session_attrs=''primary''/,
	'and follows a failover');
prove_standby($second, $standby, 'failover');
$standby->stop;
$agent->signal('TERM');
is($agent->finish, 0, 'the agent ends in order');
$second->stop;
done_testing();
