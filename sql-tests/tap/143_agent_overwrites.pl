# An agent that may: a used directory is made current in place when the request says `delta`; a server
# that runs in it is stopped first, and started again, only where its agent manages it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary();
fill_primary($primary);
my $standby = new_place('standby');
my @managed = ('--start', '--config-file', own_config($standby), '--allow-overwrite', '--manage-server');
my $agent = start_agent($primary, $standby, @managed);
my $id = request($primary, 'clone');
state_is($primary, $id, 'completed', 'from nothing');
adopt($standby);

# The standby runs: it is stopped, made current, started.
my $started = $standby->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
$primary->safe_psql('postgres', "UPDATE plain SET text = 'new' WHERE id % 100 = 0");
$id = request($primary, 'clone', '{"delta": "compare"}');
state_is($primary, $id, 'completed', 'over a running standby');
is($primary->safe_psql('postgres', "SELECT phase FROM clone_status($id)"), 'streaming',
	'over a running standby: streaming again');
cmp_ok($primary->safe_psql('postgres', "SELECT 2 * bytes_sent FROM clone_status($id)"), '<',
	$primary->safe_psql('postgres', "SELECT bytes_total FROM clone_status($id)"),
	'over a running standby: what it had did not travel');
adopt($standby);
isnt($standby->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started,
	'over a running standby: its server was started anew');
prove_started($primary, $standby, 'over a running standby');
$agent->signal('TERM');
is($agent->finish, 0, 'the agent ends');
ok($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 'its server runs on');

# The same leave to overwrite, but none to stop a server.
$agent = start_agent($primary, $standby, '--start', '--config-file', own_config($standby), '--allow-overwrite');
$id = request($primary, 'clone', '{"delta": true}');
state_is($primary, $id, 'failed', 'not managed');
like($primary->safe_psql('postgres', "SELECT error FROM clone_status($id)"),
	qr/a server runs in .* and its agent may not stop it/, 'not managed: says so');
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'not managed: the server still runs');

# A standby that was stopped, and whose WAL is gone.
$standby->stop;
$primary->safe_psql('postgres', q(SELECT pg_drop_replication_slot('clone')));
$primary->safe_psql('postgres', "INSERT INTO plain SELECT n, 'later' FROM generate_series(100001, 103000) n");
$primary->safe_psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT');
$id = request($primary, 'clone', '{"delta": true}');
state_is($primary, $id, 'completed', 'over a stale standby');
adopt($standby);
prove_started($primary, $standby, 'over a stale standby');
$agent->signal('TERM');
is($agent->finish, 0, 'the second agent ends');
$standby->stop;
$primary->stop;
done_testing();
