# Clones of each kind, with the donor's server and the program under valgrind (ci/valgrind looks at what it says): full,
# delta, gone on with after a kill, gentle, paused, cancelled; and requests that are none.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = 20s\n");
fill_primary($primary, rows => 5000);
sub value { return $primary->safe_psql('postgres', $_[0]) }
value('CREATE ROLE replicator LOGIN REPLICATION');
sub wait_for_bytes
{
	wait_until('it copies', sub { value('SELECT count(*) FROM clone_streams WHERE bytes_sent > 0') > 0 });
}

my $place = new_place();
exit_is(run_clone($primary, $place), 'completed', 'full');
prove_standby($primary, $place, 'full', amcheck => 0);
$place->stop;

value('UPDATE plain SET text = text || id WHERE id % 50 = 0; DROP TABLE toasted; CREATE TABLE other AS TABLE plain');
exit_is(run_clone($primary, $place, '--delta=compare', '-j', '2'), 'completed', 'delta');
prove_standby($primary, $place, 'delta', amcheck => 0);
$place->stop;

# Killed, and gone on with; at once, in its session.
$place = new_place('killed');
my $run = start_clone($primary, $place, '--name', 'killed', '-r', '2M', '-j', '2');
wait_for_bytes();
$run->signal('KILL');
$run->finish;
$run = start_clone($primary, $place, '--name', 'killed', '-r', '4M', '-j', '3', '--gentle', '-Z', 'zstd:3');
exit_is($run, 'completed', 'killed and gone on with');
prove_standby($primary, $place, 'killed and gone on with', slot => 'killed', amcheck => 0);
$place->stop;

# Paused; streams and the control connection break; cancelled. So slow that all of that happens in its middle.
$run = start_clone($primary, new_place('cancelled'), '--name', 'cancelled', '-r', '200k', '-j', '2');
wait_for_bytes();
value('SELECT pause_standby_clone(id) FROM clone_progress');
wait_until('it waits', sub { value("SELECT count(*) FROM clone_streams WHERE waiting_for = 'pause'") > 0 });
value('SELECT resume_standby_clone(id) FROM clone_progress');
my $broken = value('SELECT string_agg(pid::text, $$,$$), bool_and(pg_terminate_backend(pid)) FROM clone_streams') =~ s/\|.*//r;
value(q(SELECT pg_terminate_backend(control.pid) FROM pg_stat_activity control
	WHERE query LIKE 'CALL%stream%' AND pid NOT IN (SELECT pid FROM clone_streams)));
wait_until('others have come', sub { value("SELECT count(*) FROM clone_streams WHERE pid NOT IN ($broken)") eq '2' });
value('SELECT cancel_standby_clone(id) FROM clone_progress');
exit_is($run, 'cancelled', 'cancelled');

# Killed for good: the lease ends it.
$run = start_clone($primary, new_place('gone'), '--name', 'gone', '-r', '1M');
wait_for_bytes();
$run->signal('KILL');
$run->finish;
$primary->append_conf('postgresql.conf', "pg_standby_clone.reconnect_timeout = 2s\n");
$primary->reload;
is_clean_on($primary, 'killed for good', 'clone', 'killed');

# Requests that are none.
$primary->append_conf('postgresql.conf', "pg_standby_clone.reconnect_timeout = 60s\n");
$primary->reload;
my $answered = 0;
sub say_to_donor
{
	my ($wire, @requests) = @_;
	$wire->request($_) for @requests;
	eval { $wire->error };
	$wire->close;
	$answered++;
	return;
}
sub control { my $wire = Wire->connect($primary)->call; return ($wire, $wire->hello) }
my $hello = Wire::hello({ pid => 1 });
say_to_donor(Wire->connect($primary)->call, substr $hello, 0, $_) for 0, 1, 5, 20, length($hello) - 1;
my $begin = Wire::begin();
say_to_donor(control(), substr $begin, 0, $_) for 1, 9, 20, length($begin) - 1;
say_to_donor(control(), $_) for Wire::plain('list'), Wire::heartbeat(), Wire::outcome(4), "\xff" x 10, 'x' x 16000,
  Wire::begin(target => "a\0b"), Wire::begin(target => 'x' x 64), Wire::begin(slot => 'none', slot_given => 1);
my $begun = Wire->begun($primary, target => 'malformed');
for my $request (Wire::read(''), Wire::read('../secret'), Wire::read('x' x 1024), Wire::read('PG_VERSION', offset => 1 << 63),
	Wire::read('global/pg_control', offset => 1), Wire::compare('PG_VERSION', hashes => 'x' x 8),
	Wire::compare('PG_VERSION', length => ~0, hashes => 'x' x 16), Wire::page_hashes('PG_VERSION', offset => 5),
	Wire::page_hashes('PG_VERSION', length => 1 << 30), substr(Wire::read('PG_VERSION'), 0, -3))
{
	$begun->request(Wire::heartbeat());
	my $stream = Wire->stream($primary, $begun);
	$stream->frame('welcome') // die $stream->{error};
	say_to_donor($stream, $request);
}
srand 20260101;
for my $round (1 .. 15)
{
	my $wire = Wire->connect($primary)->call;
	$wire->request($wire->hello) if $round % 2;
	my $noise = join '', map { chr int rand 256 } 1 .. 1 + int rand 300;
	$round % 3 ? $wire->request($noise) : $wire->write($noise);
	$wire->close;
	$answered++;
}
$begun->request(Wire::outcome(6, 'enough'));
$begun->error;
is($answered, 42, 'requests that are none');
is_clean_on($primary, 'requests that are none', 'clone', 'killed');
$primary->stop;

done_testing();
