# A clone from nothing to streaming that nobody on the standby's host asks for; and what an agent does
# not do for anybody.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary();
fill_primary($primary, rows => 5000);
my $standby = new_place('standby');

# Asked for before there is an agent: one request that is rolled back, one that is not.
$primary->safe_psql('postgres', q(BEGIN; SELECT request_standby_clone('clone'); ROLLBACK));
my ($rc, $id, $warning) = $primary->psql('postgres', q(SELECT request_standby_clone('clone')));
like($warning, qr/WARNING:  no agent for "clone" is connected/, 'no agent: a warning');

my $agent = start_agent($primary, $standby, '--start', '--config-file', own_config($standby));
state_is($primary, $id, 'completed', 'the request that waited');
is($primary->safe_psql('postgres', "SELECT phase FROM clone_status($id)"), 'streaming',
	'the request that waited: streaming');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM clone_status()'), 1,
	'the request that was rolled back never was');
is($primary->safe_psql('postgres', "SELECT string_agg(phase, ' ' ORDER BY started_at, phase)
	FROM clone_phases WHERE id = $id AND phase IN ('copying', 'wal', 'starting', 'streaming')"),
	'copying wal starting streaming', 'the whole life is seen');
prove_started($primary, $standby, 'by an agent');

# What its directory holds is seen on the primary.
wait_until('the running standby is seen', sub { $primary->safe_psql('postgres',
		q(SELECT destination_state FROM clone_agents)) eq 'running standby' });
like($primary->safe_psql('postgres', 'SELECT destination FROM clone_agents'), qr/^[^:]+:\//,
	'the place is seen');

# One name, one agent.
my $second = StandbyClone::Run->new('pg_standby_clone', 'agent', '--name', 'clone', '-D',
	new_place('second')->data_dir, '-h', $primary->host, '-p', $primary->port);

# A used directory is nobody's to overwrite, whatever the request says.
my $refused = request($primary, 'clone');
state_is($primary, $refused, 'failed', 'a used directory');
like($primary->safe_psql('postgres', "SELECT error FROM clone_status($refused)"),
	qr/is not empty \(running standby\).*--allow-overwrite/, 'a used directory: says so');
$refused = request($primary, 'clone', '{"delta": true}');
state_is($primary, $refused, 'failed', 'overwriting without leave');
like($primary->safe_psql('postgres', "SELECT error FROM clone_status($refused)"),
	qr/does not allow a used directory \(running standby\) to be overwritten/,
	'overwriting without leave: says so');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM plain'), 5000, 'the standby is untouched');

is($second->finish, 5, 'the second agent is refused');
like($second->err, qr/an agent for "clone" is connected already.*process \d+/s, 'the second agent: says why');
ok($agent->is_running, 'the first agent lives');
like($agent->err, qr/carrying out request $id: \{.*request $id has been carried out; waiting for the next/s,
	'its log tells its story');
is(scalar(() = $agent->err =~ /^(?!pg_standby_clone: |\s)/mg), 0, 'each line of its log names the program');

$agent->signal('TERM');
is($agent->finish, 0, 'stopped while it waits');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM clone_agents'), 0, 'gone from the list');
$standby->stop;
$primary->stop;
done_testing();
