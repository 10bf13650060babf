# Settings of the standby's own (--set), a command at the end (--on-end), and what a directory holds (status), in each
# state it can be in.
use strict;
use warnings;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my ($host, $port) = ($primary->host, $primary->port);

sub status_is
{
	my ($directory, $state, $what, $code) = @_;
	my $run = StandbyClone::Run::finished('pg_standby_clone', 'status', '-D', $directory, '--json');
	is($run->finish, $code // 0, "status, $what: exit code");
	my $status = decode_json($run->out);
	is($status->{state}, $state, "status, $what");
	isnt($status->{next}, '', "status, $what: says what to do");
	my $words = StandbyClone::Run::finished('pg_standby_clone', 'status', '-D', $directory);
	like($words->out, qr/^state +\Q$state\E$/m, "status, $what: in words");
	return $status;
}

# --- a setting that no server takes ends it before anything is touched ---
my $standby = new_place();
status_is($standby->data_dir, 'empty', 'not there');
clone_fails(run_clone($primary, $standby, '--set', 'work_mem=much'), 'preflight',
	qr/does not start with --set work_mem=much: .*work_mem/, '--set, wrong value');
clone_fails(run_clone($primary, $standby, '--set', 'works_mem=1MB'), 'preflight',
	qr/does not start with --set works_mem=1MB/, '--set, unknown name');
clone_fails(run_clone($primary, $standby, '--set', 'max_connections=3', '--start', '--config-file', own_config($standby)),
	'preflight', qr/max_connections = 3 \(the donor has/, '--set, lower than the donor has');
clone_fails(run_clone($primary, $standby, '--set', 'primary_conninfo=host=elsewhere'), 'usage', qr/the clone's own/,
	"--set, the clone's own");
ok(!-e $standby->data_dir, '--set: nothing was made');

# --- cancelled ---
my $told = scratch('told') . '/told';
my @on_end = ('--on-end', 'env | grep ^CLONE_ | sort > ' . $told);
sub told { my %told = map { split /=/, $_, 2 } split /\n/, content_of($told); unlink $told; return \%told }
my $run = start_clone($primary, $standby, '-r', '4M', @on_end);
wait_for_copying($primary, $run, 6_000_000);
my $status = status_is($standby->data_dir, 'unfinished clone', 'a clone at work');
like($status->{refused}, qr/another clone is at work/, 'status, a clone at work: says so');
$run->signal('TERM');
exit_is($run, 'cancelled', 'cancelled');
my $ended = told();
is_deeply([ @$ended{qw(CLONE_STATE CLONE_EXIT_CODE CLONE_ID CLONE_NAME CLONE_DIR CLONE_METHOD)} ],
	[ 'cancelled', 8, 1, 'clone', $standby->data_dir, '' ], '--on-end, cancelled');
like($ended->{CLONE_ERROR}, qr/cancel|SIGTERM|signal/i, '--on-end, cancelled: why');
$status = status_is($standby->data_dir, 'unfinished clone', 'cancelled');
cmp_ok($status->{clone}{bytes_durable}, '>', 0, 'status, cancelled: how far');
is("$status->{clone}{way} $status->{clone}{id} $status->{clone}{name}", 'full 1 clone', 'status, cancelled: which');
ok(!exists $status->{refused}, 'status, cancelled: it can be gone on with');

# --- completed, with settings of its own ---
exit_is($run = run_clone($primary, $standby, '-N', '--set', 'work_mem=3MB', '--set', 'Work_Mem=5MB', '--set', "my.words=it's",
	@on_end), 'completed', '--set');
is_deeply([ @{ told() }{qw(CLONE_STATE CLONE_EXIT_CODE CLONE_ID CLONE_METHOD CLONE_ERROR)} ], [ 'completed', 0, 2, 'compare', '' ],
	'--on-end, completed: what was here was compared');
my $settings = content_of($standby->data_dir . '/postgresql.auto.conf');
is(scalar(() = $settings =~ /^work_mem/mg), 1, '--set: the last one alone is written');
status_is($standby->data_dir, 'complete standby, never started', 'complete');

# --- the same command again: there is nothing to do ---
my $origin = decode_json(content_of($standby->data_dir . '/pg_standby_clone.origin'));
is_deeply([ @$origin{qw(id name slot method)}, $origin->{donor}{port} ], [ 2, 'clone', 'clone', 'compare', $port ],
	'the standby says where it comes from');
is((stat $standby->data_dir . '/pg_standby_clone.origin')[2] & 07777, 0600, 'its owner alone');
like(content_of($standby->data_dir . '/backup_manifest'), qr/pg_standby_clone\.origin/, 'and its manifest knows');
sub again
{
	my ($what, @options) = @_;
	my $before = (stat $standby->data_dir . '/global/pg_control')[9];
	my $again = run_clone($primary, $standby, '-N', @options);
	exit_is($again, 'completed', "again, $what");
	like($again->err, qr/is complete already: nothing was touched/, "again, $what: says so");
	is((stat $standby->data_dir . '/global/pg_control')[9], $before, "again, $what: nothing was touched") unless @options;
	is($primary->safe_psql('postgres', 'SELECT count(*) FROM clone_status()'), '2', "again, $what: the donor is not asked for a clone");
	return $again;
}
again('never started');
clone_fails(run_clone($primary, $standby, '-N', '--name', 'elsewhere'), 'target', qr/is not empty/, 'again, by another name');
my $stranger = new_primary(name => 'stranger');
clone_fails(run_clone($stranger, $standby, '-N'), 'target', qr/is not empty/, 'again, from another cluster');
$stranger->stop;
prove_standby($primary, $standby, '--set');
is($standby->safe_psql('postgres', 'SHOW work_mem'), '5MB', '--set: it holds');
is($standby->safe_psql('postgres', 'SHOW my.words'), "it's", '--set: whatever its name and value');
$status = status_is($standby->data_dir, 'running standby', 'started');
is($status->{pid}, (split /\n/, content_of($standby->data_dir . '/postmaster.pid'))[0], 'status, started: its process');
is($status->{system_identifier}, $primary->safe_psql('postgres', 'SELECT system_identifier FROM pg_control_system()'),
	'status, started: its cluster');
again('running');
$standby->stop;
is(status_is($standby->data_dir, 'stopped standby', 'stopped')->{cluster_state}, 'shut down in recovery',
	'status, stopped: what pg_control says');
again('stopped, to be started', '--start');
status_is($standby->data_dir, 'running standby', 'started by the same command');
command_ok([ 'pg_ctl', '-D', $standby->data_dir, '-w', 'stop' ], 'it is stopped');
wait_until('its slot is free', sub { $primary->safe_psql('postgres', "SELECT active FROM pg_replication_slots WHERE slot_name = 'clone'") eq 'f' });
$primary->safe_psql('postgres', "SELECT pg_drop_replication_slot('clone')");
like(again('its slot is lost')->err, qr/slot "clone" of the standby is not on the donor any more/, 'again: says what is lost');
unlink $standby->data_dir . '/standby.signal';
status_is($standby->data_dir, 'stopped primary', 'a primary');
status_is($primary->data_dir, 'running primary', 'the donor');

# --- failed; the command fails itself ---
clone_fails(run_clone($primary, $standby, @on_end), 'target', qr/is not empty/, 'refused');
$ended = told();
is("$ended->{CLONE_STATE} $ended->{CLONE_EXIT_CODE} $ended->{CLONE_ID}", 'failed 4 ', '--on-end, refused');
like($ended->{CLONE_ERROR}, qr/is not empty/, '--on-end, refused: why');
my $other = new_place('other');
exit_is($run = run_clone($primary, $other, '-N', '--no-slot', '--name', 'other', '--json', '--on-end', 'echo no mail; exit 3'),
	'completed', '--on-end that fails');
like($run->out, qr/"warning".*exit code 3: no mail/, '--on-end that fails: a warning');
like((split /\n/, $run->out)[-1], qr/"type":"result"/, '--on-end that fails: the last line is the result');

# --- what is no cluster ---
my $place = scratch('place');
status_is($place, 'empty', 'empty');
append_to_file("$place/notes", "mine\n");
status_is($place, 'not empty', 'of somebody else');
SKIP:
{
	skip 'the superuser reads everything', 4 if $> == 0;
	chmod 0, $place;
	status_is($place, 'unreadable', 'locked', 4);
	chmod 0700, $place;
}

done_testing();
