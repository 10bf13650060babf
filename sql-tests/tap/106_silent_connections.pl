# One connection of a clone is silent for ever while the others go on: the backend of a stream, or the WAL sender, is
# stopped (SIGSTOP) in mid-copy and never continued. The clone gives that connection up and completes on others. Streams
# that wait on purpose (a pause, a rate so low that a frame takes longer than --receive-timeout) are not given up.
#
# Each has a clone of its own, all at the same time.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(time);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "max_wal_senders = 20\nmax_replication_slots = 20\nmax_connections = 80\n");
fill_primary($primary);
sub value { return $primary->safe_psql('postgres', $_[0]) }
sub progress { return value("SELECT $_[1] FROM clone_progress WHERE target = '$_[0]'") }

my %jobs = (stream => 2, wal_sender => 1, cancelled => 1, paused => 2, slow => 6);
my %clone;
# Of a role of its own each, by which its backends are told apart.
for my $name (sort keys %jobs)
{
	value("CREATE ROLE $name LOGIN REPLICATION");
	my $place = new_place($name);
	$clone{$name} = { place => $place, run => start_clone($primary, $place, '-N', '-v', '-r', '1M', '-j', $jobs{$name},
		'--receive-timeout', '5', '--name', $name, '-U', $name) };
}
for my $name (sort keys %jobs)
{
	wait_until("$name: all streams copy", sub {
		value("SELECT count(*) FROM clone_streams s JOIN clone_progress USING (id) WHERE target = '$name' AND s.bytes_sent > 0")
		  eq $jobs{$name} });
}
my %id = map { $_ => progress($_, 'id') } keys %jobs;
my %pid = (
	wal_sender => value("SELECT pid FROM pg_stat_replication WHERE usename = 'wal_sender'"),
	map { $_ => value("SELECT pid FROM clone_streams WHERE stream = 1 AND id = $id{$_}") } qw(stream cancelled));
like($pid{$_}, qr/^\d+$/, "$_ is there") for sort keys %pid;
END { kill 'CONT', values %pid if %pid }
sub is_stopped { return content_of("/proc/$_[0]/stat") =~ /\) T / }

kill 'STOP', values %pid;
value("SELECT pause_standby_clone($id{paused})");
# What they have read already, whole frames, goes at this rate now, through all six.
value("SELECT set_clone_rate($id{slow}, '32k')");
my $end = time() + 20;
# WAL that the stopped sender does not bring.
value('INSERT INTO plain SELECT 100000 + n, md5(n::text) FROM generate_series(1, 3000) n');
value("SELECT cancel_standby_clone($id{cancelled})");

sub is_over_on_donor
{
	my ($name, $state) = @_;
	is(value("SELECT state FROM clone_status($id{$name})"), $state, "$name: $state");
	ok(is_stopped($pid{$name}), "$name: the backend is stopped all the while");
}

exit_is($clone{cancelled}{run}, 'cancelled', 'cancelled');
is_over_on_donor('cancelled', 'cancelled');

my $since = qr/for 5 s, (?:not even what it was asked for, )?though the donor answers elsewhere/;
for my $name (qw(stream wal_sender))
{
	wait_until("$name stopped: it is noticed", sub { $clone{$name}{run}->err =~ $since }, 40);
	value("SELECT set_clone_rate($id{$name}, NULL)");
	exit_is($clone{$name}{run}, 'completed', "$name stopped");
}
like($clone{stream}{run}->err, qr/warning: lost a connection to the donor \(stream 1\): nothing came of file "[^"]+" $since/,
	'stream stopped: a warning names stream, file and time');
like($clone{wal_sender}{run}->err, qr/warning: lost a connection to the donor \(WAL\): nothing came from the donor's WAL sender $since/,
	'WAL sender stopped: a warning says so');
is_over_on_donor($_, 'completed') for qw(stream wal_sender);
is(value(q(SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots WHERE NOT temporary)),
	'stream wal_sender', 'the slots of the complete ones are left');
is(value('SELECT count(*) FROM pg_replication_slots WHERE temporary'), '2', 'and those of the two that run');
is(value('SELECT count(*) FROM pg_stat_progress_basebackup'), '2', 'and their backups');
is(value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'standby clone worker'"), '2', 'and their workers');

wait_until('four times as long as a connection may be silent', sub { time() > $end }, 30);
is(progress('paused', 'state'), 'paused', 'paused: it is');
is(progress('slow', 'state'), 'running', 'slow: it runs');
ok(wait_until('all streams of the slow one wait', sub {
	value("SELECT count(*) FROM clone_streams WHERE id = $id{slow} AND waiting_for = 'rate'") eq '6' }), 'slow: all its streams wait');
value("SELECT resume_standby_clone($id{paused})");
value('SELECT set_clone_rate(id, NULL) FROM clone_progress');
for my $name (qw(paused slow))
{
	exit_is($clone{$name}{run}, 'completed', $name);
	unlike($clone{$name}{run}->err, qr/lost a connection/, "$name: no connection was given up");
}
ok(is_stopped($_), 'still stopped') for values %pid;

for my $name (grep { $_ ne 'cancelled' } sort keys %jobs)
{
	prove_standby($primary, $clone{$name}{place}, $name, slot => $name, amcheck => 0);
	$clone{$name}{place}->stop;
}

kill 'CONT', values %pid;
for my $name (sort keys %pid)
{
	ok(wait_until("$name: the backend ends", sub {
		value("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid{$name}") eq '0' }, 20),
		"$name: once continued the backend ends by itself");
}
is_clean_on($primary, 'at last', grep { $_ ne 'cancelled' } keys %jobs);
%pid = ();

done_testing();
