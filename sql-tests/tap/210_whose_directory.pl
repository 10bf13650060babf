# Whose a directory is: what is left of a killed server, a server that cannot be seen, another clone; and that a
# clone which is refused leaves a standby as it was, running if it ran.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use StandbyClone;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '2s'\n");
fill_primary($primary);
my $standby = new_place();
my $data = $standby->data_dir;
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'the standby');
start_server_in($standby);
catch_up($primary, $standby);

sub is_untouched
{
	my ($what) = @_;
	return ok(-e "$data/global/pg_control" && !glob("$data/pg_standby_clone.journal*"), "$what: nothing was changed");
}

# One of its processes hangs, and its postmaster is killed.
my $orphan = $standby->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
kill 'STOP', $orphan;
my ($postmaster) = content_of("$data/postmaster.pid") =~ /(\d+)/;
$standby->kill9;
wait_until('the postmaster is dead', sub { !kill 0, $postmaster });
for my $more ([], ['--assume-stopped'])
{
	clone_fails(run_clone($primary, $standby, '-N', '--delta', @$more), 'target',
		qr/processes of a PostgreSQL server still use .* \(PID $orphan\)/, "left of a server: @$more");
	is_untouched("left of a server: @$more");
}
unlink "$data/postmaster.pid" or die;
clone_fails(run_clone($primary, $standby, '-N', '--delta'), 'target', qr/still use/, 'left of a server, no lock file');
kill 'KILL', $orphan;
wait_until('it is gone', sub { !kill 0, $orphan });

# A clone that the donor refuses.
clone_fails(run_clone($primary, $standby, '-N', '--delta', '--slot', 'typo'), 'preflight', qr/does not exist/, 'no such slot');
is_untouched('no such slot');

# Where servers cannot be seen, only what was shut down is known to be down.
my @elsewhere = qw(unshare --user --map-current-user --pid --ipc --fork --mount-proc);
SKIP:
{
	skip 'user namespaces are not allowed here', 5 unless system_log(@elsewhere, 'true') == 0;
	my @command = ('pg_standby_clone', '-D', $data, '-w', '-N', '--delta', '--name', 'clone', '-h', $primary->host, '-p',
		$primary->port);
	my $hidden = StandbyClone::Run->new(@elsewhere, @command);
	clone_fails($hidden, 'target', qr/not known that no PostgreSQL server runs.*container/s, 'not seen');
	like($hidden->err, qr/--assume-stopped/, 'not seen: says what to do');
	is_untouched('not seen');
	exit_is(StandbyClone::Run->new(@elsewhere, @command, '--assume-stopped'), 'completed', 'not seen, and said to be down');
}
exit_is(run_clone($primary, $standby, '-N', '--delta'), 'completed', 'made current');

# A second clone beside one at work.
my $other = new_place('other');
my $first = start_clone($primary, $other, '--name', 'other', '-r', '2M');
wait_for_copying($primary, $first);
clone_fails(run_clone($primary, $other, '--name', 'second'), 'target', qr/another clone is at work in/, 'a second clone');
ok($first->is_running, 'a second clone: the first goes on');
$first->signal('TERM');
$first->finish;

# The list shows that there is no place for a tablespace (the donor has it on this host) when the agent has
# stopped the server already: it runs again. It does not replay that itself.
start_server_in($standby, conf => "recovery_min_apply_delay = '1h'\n");
$primary->safe_psql('postgres', "UPDATE plain SET text = 'held back' WHERE id = 1");
$primary->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '" . scratch('space') . "'");
my $before = $standby->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
my $agent = start_agent($primary, $standby, '--allow-overwrite', '--manage-server');
my $id = request($primary, 'clone', '{"delta": "compare"}');
state_is($primary, $id, 'failed', 'no place for a tablespace');
like($primary->safe_psql('postgres', "SELECT error FROM clone_status($id)"), qr/is not empty/, 'no place for a tablespace: says so');
my $after = '';
wait_until('the standby runs again', sub {
	(undef, $after) = $standby->psql('postgres', 'SELECT pg_postmaster_start_time()');
	return $after;
});
isnt($after, $before, 'no place for a tablespace: the server had been stopped');
is_untouched('no place for a tablespace');

# A slot that is not there: found before.
$agent->signal('TERM');
$agent->finish;
$agent = start_agent($primary, $standby, '--allow-overwrite', '--manage-server', '--slot', 'typo');
$id = request($primary, 'clone', '{"delta": true}');
state_is($primary, $id, 'failed', 'no slot');
is($standby->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $after, 'no slot: the server was not stopped');
$agent->signal('TERM');
$agent->finish;
adopt($standby);
$standby->stop;
$primary->stop;
done_testing();
