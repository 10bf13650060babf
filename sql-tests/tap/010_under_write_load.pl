# A primary that is written to all the while: the clone ends up equal, and can be promoted at
# once. The promoted one, on timeline 2, is cloned in its turn (traps 7, 21 and 43).
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "checkpoint_timeout = 30s\nautovacuum = on\nautovacuum_naptime = 1s\n");
fill_primary($primary);
command_ok([ 'pgbench', '-i', '-q', '-s', '3', '-h', $primary->host, '-p', $primary->port, 'postgres' ],
	'pgbench tables');

sub write_to
{
	my ($node) = @_;
	return StandbyClone::Run->new('pgbench', '-n', '-c', '4', '-T', '100', '-h', $node->host, '-p',
		$node->port, 'postgres');
}

# pgbench's own invariant: no transaction is half there.
sub balances_agree
{
	my ($node, $what) = @_;
	is($node->safe_psql('postgres',
			'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history) '
		  . 'AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history)'),
		't', "$what: the balances agree");
}

# Ends the load and autovacuum, so that the two sides can be compared.
sub quieten
{
	my ($node, $load) = @_;
	$load->signal('INT');
	$load->finish;
	$node->safe_psql('postgres', 'ALTER SYSTEM SET autovacuum = off');
	$node->reload;
	wait_until('autovacuum has ended', sub { $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%'") eq '0' });
}

my $load = write_to($primary);
wait_until('writes arrive', sub {
	$primary->safe_psql('postgres', 'SELECT count(*) > 100 FROM pgbench_history') eq 't' });
my $standby = new_place('standby');
exit_is(run_clone($primary, $standby, '-N', '-r', '30M'), 'completed', 'under load');
ok($load->is_running, 'the load went on all the while');
prove_standby($primary, $standby, 'under load', quiet => 0);
balances_agree($standby, 'while it follows');
quieten($primary, $load);
catch_up($primary, $standby);
same_content($primary, $standby, 'under load');
StandbyClone::check_tables($standby, 'under load');
balances_agree($standby, 'after it');

$standby->promote;
$load = write_to($standby);
wait_until('writes arrive', sub {
	$standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'") >= 4 });
my $next = new_place('next');
exit_is(run_clone($standby, $next, '-N', '--name', 'next'), 'completed', 'timeline 2');
is($standby->safe_psql('postgres', 'SELECT timeline FROM clone_status() ORDER BY id DESC LIMIT 1'), '2',
	'timeline 2: it says so');
ok(-e $next->data_dir . '/pg_wal/00000002.history', 'timeline 2: the history file is there');
prove_standby($standby, $next, 'timeline 2', quiet => 0, slot => 'next');
quieten($standby, $load);
catch_up($standby, $next);
same_content($standby, $next, 'timeline 2');
balances_agree($next, 'timeline 2');

done_testing();
