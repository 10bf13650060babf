# A balancer that gives each connection to another server of the cluster: the clone ends at once and says why,
# instead of beginning one session, and one checkpoint, after the other.
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(SOCK_STREAM);
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "log_checkpoints = on\n");
fill_primary($primary);
my $other = new_place('other');
exit_is(run_clone($primary, $other, '-N', '--name', 'other'), 'completed', 'another server');
start_server_in($other);
wait_for_streaming($primary, 'other');

my $directory = PostgreSQL::Test::Utils::tempdir_short();
my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Listen => 20,
	Local => "$directory/.s.PGSQL." . $primary->port) or die "listen: $!";
my @targets = map { $_->host . '/.s.PGSQL.' . $_->port } $primary, $other;
my $balancer = fork() // die "fork: $!";
if (!$balancer)
{
	setpgrp;
	local $SIG{CHLD} = 'IGNORE';
	for (my $count = 0; my $client = $listener->accept; ++$count)
	{
		next if fork();
		my $server = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $targets[ $count % 2 ]) or POSIX::_exit(1);
		my $select = IO::Select->new($client, $server);
		while (1)
		{
			for my $from ($select->can_read)
			{
				sysread $from, my $bytes, 1 << 16 or POSIX::_exit(0);
				my $to = $from == $client ? $server : $client;
				for (my $done = 0; $done < length $bytes;)
				{
					$done += (syswrite $to, $bytes, length($bytes) - $done, $done) // POSIX::_exit(0);
				}
			}
		}
	}
	POSIX::_exit(0);
}
close $listener;

sub checkpoints { return scalar(() = content_of($primary->logfile) =~ /checkpoint starting: .*force/g) }
my $before = checkpoints();
for my $streams (1, 4)
{
	my $run = start_clone(undef, new_place("balanced$streams"), '-j', $streams, '-h', $directory, '-p', $primary->port);
	clone_fails($run, 'connection', qr/reach different servers/, "-j $streams");
	cmp_ok($run->seconds, '<', 30, "-j $streams: soon");
	is(scalar(() = $run->err =~ /going on with another session/g), 0, "-j $streams: in one session");
	is_clean_on($primary, "-j $streams", 'other');
}
cmp_ok(checkpoints() - $before, '<=', 2, 'with one checkpoint each');

kill 'KILL', -$balancer;
waitpid $balancer, 0;
done_testing();
