# The helper is killed in mid-copy, and the same command run again: while the session lives on the
# donor it goes on in it, and does not send again what was durable; after its lease, and after a
# restart of the donor, it goes on in a new one, and finds by comparing what is there.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '60s'\n");
fill_primary($primary, rows => 300000);

sub killed_in_the_middle
{
	my ($place, $name, @options) = @_;
	my $run = start_clone($primary, $place, '-j', '2', '-r', '5M', '--name', $name, @options);
	wait_until('much of it is copied and recorded', sub {
		die $run->err unless $run->is_running;
		$primary->safe_psql('postgres', "SELECT coalesce(max(percent), 0) > 40 FROM clone_progress WHERE target = '$name'") eq 't'
		  && -s $place->data_dir . '/pg_standby_clone.journal' > 2000 });
	$run->signal('KILL');
	is($run->finish, 'signal 9', "$name: killed");
	is_not_startable($place->data_dir, $name);
	return;
}

my $full = wire_of(run_clone($primary, new_place('full'), '-N', '--name', 'full', '--no-slot', '--json'));

my $same = new_place('same');
killed_in_the_middle($same, 'same');
is(sprintf('%o', (stat $same->data_dir . '/pg_standby_clone.journal')[2] & 07777), '600', 'the journal holds a secret');
my $id = $primary->safe_psql('postgres', q(SELECT id FROM clone_progress));
$primary->safe_psql('postgres', "UPDATE plain SET text = 'meanwhile' WHERE id % 1000 = 0");
my $run = run_clone($primary, $same, '--name', 'same', '--json', '-v');
exit_is($run, 'completed', 'same session');
like($run->out, qr/in the same session on the donor/, 'same session: says so');
is($primary->safe_psql('postgres', "SELECT state FROM clone_status($id)"), 'completed', 'same session: it is the same clone');
cmp_ok(wire_of($run), '<', 0.7 * $full, 'same session: what was durable did not travel again');
prove_standby($primary, $same, 'same session', slot => 'same');
$same->stop;

my $late = new_place('late');
$primary->append_conf('postgresql.conf', "pg_standby_clone.reconnect_timeout = '3s'\n");
$primary->reload;
killed_in_the_middle($late, 'late');
is_clean_on($primary, 'lease over', 'same');
$run = run_clone($primary, $late, '--name', 'late', '--json');
exit_is($run, 'completed', 'lease over');
like($run->out, qr/has ended, so what is here is compared/, 'lease over: says so');
cmp_ok(wire_of($run), '<', 0.7 * $full, 'lease over: what was there did not travel again');
prove_standby($primary, $late, 'lease over', slot => 'late');
$late->stop;

# A second is short for a helper that works, too.
$primary->append_conf('postgresql.conf', "pg_standby_clone.reconnect_timeout = '60s'\n");
$primary->reload;
my $restarted = new_place('restarted');
killed_in_the_middle($restarted, 'restarted');
$primary->stop('immediate');
$primary->start;
$run = run_clone($primary, $restarted, '--name', 'restarted', '--json');
exit_is($run, 'completed', 'donor restarted');
cmp_ok(wire_of($run), '<', 0.7 * $full, 'donor restarted: what was there did not travel again');
prove_standby($primary, $restarted, 'donor restarted', slot => 'restarted');
$restarted->stop;

done_testing();
