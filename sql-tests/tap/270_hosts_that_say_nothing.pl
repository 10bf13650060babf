# Of several hosts one says nothing: it accepts and is silent, or takes no packet at all. The next one is
# reached when the first one's time is over, by a clone, by an agent, and by a clone whose donor fell silent in
# mid-copy.
use strict;
use warnings;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(SOCK_STREAM);
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "listen_addresses = '127.0.0.1'\nwal_keep_size = 128MB\n");
fill_primary($primary);
my $port = $primary->port;

# Nobody accepts: the kernel does, for as many as wait.
sub silent_host
{
	my ($address, $at, $length) = @_;
	return IO::Socket::INET->new(LocalAddr => $address, LocalPort => $at, Listen => $length // 20,
		ReuseAddr => 1) || die "listen: $@";
}

# With a full queue it answers no further connect.
my @waiting;
sub hole
{
	my ($address, $at) = @_;
	my $listener = silent_host($address, $at, 1);
	for (1 .. 10)
	{
		my $socket = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $at, Timeout => 0.3) or return $listener;
		push @waiting, $socket;
	}
	die 'the queue never fills';
}

sub reaches
{
	my ($first, $what) = @_;
	my $run = run_clone(undef, new_place($what =~ s/\W/_/gr), '-N', '--no-slot', '-d',
		"host=$first,127.0.0.1 port=$port connect_timeout=2");
	exit_is($run, 'completed', $what);
	cmp_ok($run->seconds, '>', 1.9, "$what: its time was given to it");
}

my $silent = silent_host('127.0.0.2', $port);
reaches('127.0.0.2', 'accepts and says nothing');
my $hole = hole('127.0.0.3', $port);
reaches('127.0.0.3', 'packets are dropped');

my $agent = start_agent($primary, new_place('agent'), '-d', "host=127.0.0.3,127.0.0.1 port=$port connect_timeout=2");
$agent->signal('TERM');
exit_is($agent, 'completed', 'an agent');

# Nothing but silence: the end names each host.
clone_fails(run_clone(undef, new_place('nobody'), '--no-slot', '-d', "host=127.0.0.2,127.0.0.3 port=$port connect_timeout=2"),
	'connection', qr/"127\.0\.0\.2", port $port, within 2 s\n.*"127\.0\.0\.3", port $port, within 2 s/, 'all are silent');

# The donor's host goes away without a word, and another one is promoted.
my $heir = new_place('heir');
exit_is(run_clone($primary, $heir, '-N', '--name', 'heir'), 'completed', 'the heir');
start_server_in($heir, conf => "listen_addresses = '127.0.0.4'\n");
wait_for_streaming($primary, 'heir');
my $late = new_place('late');
my $run = start_clone(undef, $late, '-N', '-r', '10M', '-j', '2', '-d',
	sprintf('host=127.0.0.1,127.0.0.4 port=%s,%s connect_timeout=2', $port, $heir->port));
wait_for_copying($primary, $run, 2_000_000);
catch_up($primary, $heir);
$primary->stop('immediate');
my $gone = hole('127.0.0.1', $port);
$heir->promote;
exit_is($run, 'completed', 'silent in mid-copy');
like($run->err, qr/going on with another session/, 'silent in mid-copy: in a session with the new primary');
close $gone;
prove_standby($heir, $late, 'silent in mid-copy', quiet => 0);

done_testing();
