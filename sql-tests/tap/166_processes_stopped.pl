# Each process that has to do with a clone is stopped (SIGSTOP) for a minute in mid-copy: program, agent, clone
# worker, the backends of the control connection and of a stream, WAL sender, postmaster. Nobody ends the clone for
# it; where the other side has to notice it does, and says so; all of them complete and are proved equal.
#
# Each has a clone of its own, all at the same time: the minute is waited for once.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $room = "max_wal_senders = 20\nmax_replication_slots = 20\nmax_connections = 80\n";
my $primary = new_primary(conf => $room);
fill_primary($primary, rows => 3000);
sub value { return $primary->safe_psql('postgres', $_[0]) }
# A postmaster has all clones of its server: it gets a server of its own. While it is stopped nobody can ask there.
my $other = new_primary(name => 'other');
my $in_other = new_place('postmaster');

# So slow that none is done within the minute, and all are at work all the time.
my @slowly = ('-N', '-j', '2', '-r', '200k');

my %clone;
# Of a role of its own each, by which its backends are told apart.
for my $name (qw(program worker control stream wal_sender))
{
	value("CREATE ROLE $name LOGIN REPLICATION");
	my $place = new_place($name);
	$clone{$name} = { place => $place, run => start_clone($primary, $place, @slowly, '--name', $name, '-U', $name) };
}
$clone{agent}{place} = new_place('agent');
$clone{agent}{run} = start_agent($primary, $clone{agent}{place}, '--name', 'agent', '-N');
my $request = request($primary, 'agent', '{"max_rate": "200k", "jobs": 2}');

my $postmaster_run = start_clone($other, $in_other, @slowly, '--name', 'postmaster', '--json');

sub progress { return value("SELECT $_[1] FROM clone_progress WHERE target = '$_[0]'") }
sub state_becomes
{
	my ($name, $state) = @_;
	return ok(wait_until("$name stopped: $state", sub { progress($name, 'state') eq $state }, 40), "$name stopped: it is $state");
}
sub json_bytes { my @found = $postmaster_run->out =~ /"bytes_done":(\d+)/g; return $found[-1] // 0 }

wait_until('all of them copy', sub {
	value("SELECT count(*) FROM clone_progress WHERE phase = 'copying' AND bytes_done > 0") == 6 });
wait_for_copying($other, $postmaster_run);

# The one process of a role, or of all, with this title.
sub titled
{
	my ($title, $condition) = @_;
	my @found = grep { content_of("/proc/$_/cmdline") =~ /\Q$title\E/ }
	  split /\n/, value("SELECT pid FROM pg_stat_activity WHERE $condition");
	is(scalar @found, 1, "one process is the \"$title\"");
	return $found[0];
}
my %pid = (
	program => $clone{program}{run}->pid,
	agent => $clone{agent}{run}->pid,
	worker => titled('standby clone worker for worker', "backend_type = 'standby clone worker'"),
	control => titled('standby clone control', "usename = 'control'"),
	stream => value("SELECT pid FROM clone_streams WHERE stream = 1 AND id = " . progress('stream', 'id')),
	wal_sender => value("SELECT pid FROM pg_stat_replication WHERE usename = 'wal_sender'"),
	postmaster => (split /\n/, content_of($other->data_dir . '/postmaster.pid'))[0]);
my $other_stream = $other->safe_psql('postgres', 'SELECT pid FROM clone_streams WHERE stream = 1');
like($pid{$_}, qr/^\d+$/, "$_ is there") for sort keys %pid;
END { kill 'CONT', grep { defined && /^\d+$/ } values %pid if %pid }

kill 'STOP', values %pid;
my $end = time() + 60;
my %done = map { $_ => progress($_, 'bytes_done') } keys %clone;
my $json_done = json_bytes();

# What is seen meanwhile. Who is not heard of for 15 s is away; who comes in its place takes its place.
state_becomes('program', 'disconnected');
state_becomes('agent', 'disconnected');
ok(wait_until('the program misses the answers', sub {
	$clone{control}{run}->err =~ /nothing was heard from the donor for 15 s/ }, 40), 'control stopped: the program says so');
ok(wait_until('there is another control connection', sub { $clone{control}{run}->err =~ /connections? to the donor (?:is|are) .*there again/ }, 40),
	'control stopped: there is another');
# Work that is not the stopped one's goes on.
for my $name (qw(worker control stream wal_sender))
{
	ok(wait_until("$name stopped: it copies on", sub { progress($name, 'bytes_done') > $done{$name} + 1024 * 1024 }, 40),
		"$name stopped: it copies on");
	is(progress($name, 'state'), 'running', "$name stopped: it runs");
}
ok(wait_until('postmaster stopped: it copies on', sub { json_bytes() > $json_done + 1024 * 1024 }, 40),
	'postmaster stopped: it copies on');
# A connection that breaks now cannot be made again before the minute is over.
kill 'TERM', $other_stream;
wait_until('the minute is over', sub { time() > $end }, 70);
kill 'CONT', values %pid;

# And afterwards: they all go on and complete.
value('SELECT set_clone_rate(id, NULL) FROM clone_progress');
$other->safe_psql('postgres', 'SELECT set_clone_rate(id, NULL) FROM clone_progress');
for my $name (qw(program worker control stream wal_sender))
{
	exit_is($clone{$name}{run}, 'completed', "$name stopped");
	unlike($clone{$name}{run}->err, qr/error:|another session/, "$name stopped: in its one session");
}
state_is($primary, $request, 'completed', 'agent stopped');
exit_is($postmaster_run, 'completed', 'postmaster stopped');
like($postmaster_run->out, qr/"type":"connection","connection":"stream \d","state":"lost"/, 'postmaster stopped: a stream broke meanwhile');
is(value('SELECT count(*) FROM clone_status()'), '6', 'there was one session for each');
is($other->safe_psql('postgres', 'SELECT count(*) FROM clone_status()'), '1', 'and one on the other server');
is_clean_on($primary, 'all of them', keys %clone);
is_clean_on($other, 'postmaster stopped', 'postmaster');

sub prove
{
	my ($from, $place, $name) = @_;
	prove_standby($from, $place, "$name stopped", slot => $name, amcheck => $name eq 'worker');
	$place->stop;
}
prove($primary, $clone{$_}{place}, $_) for sort keys %clone;
prove($other, $in_other, 'postmaster');

done_testing();
