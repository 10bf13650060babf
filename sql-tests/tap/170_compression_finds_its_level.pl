# Hazard: compression that costs more than it brings, or is left out where the link is what is waited
# for. Over a slow link --compress=auto comes to a zstd level by itself; over a fast one it sends as it is.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use StandbyClone;

my $primary = new_primary(conf => "listen_addresses = '127.0.0.1'\n");
fill_primary($primary);
sub value { return $primary->safe_psql('postgres', $_[0]) }

# A link of its own: a proxy that passes so many bytes a second towards the helper.
sub serve_link
{
	my ($listener, $to_port, $bytes_per_second) = @_;
	my (%peer, %is_donor);
	my $select = IO::Select->new($listener);    # all
	my $helpers = IO::Select->new($listener);   # while the link has sent as much as it can
	my $allowance_at = time();
	while (1)
	{
		my $wait = $allowance_at - time();
		for my $ready ($wait > 0 ? $helpers->can_read($wait) : $select->can_read(0.05))
		{
			if ($ready == $listener)
			{
				my $client = $listener->accept or next;
				my $donor = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $to_port) or next;
				@peer{ fileno($client), fileno($donor) } = ($donor, $client);
				$is_donor{ fileno($donor) } = 1;
				$select->add($client, $donor);
				$helpers->add($client);
				next;
			}
			my $number = fileno($ready);
			next unless defined $number && $peer{$number};
			my $got = sysread($ready, my $bytes, 16384);
			if (!$got)
			{
				my $other = $peer{$number};
				delete @peer{ $number, fileno($other) };
				delete @is_donor{ $number, fileno($other) };
				$_->remove($ready, $other) for ($select, $helpers);
				close $_ for ($ready, $other);
				next;
			}
			if ($is_donor{$number})
			{
				$allowance_at = time() if $allowance_at < time();
				$allowance_at += $got / $bytes_per_second;
			}
			my $other = $peer{$number};
			for (my $at = 0; $at < $got;)
			{
				my $sent = syswrite($other, $bytes, $got - $at, $at) or last;
				$at += $sent;
			}
		}
	}
}

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 100) or die "listen: $!";
my $link_port = $listener->sockport;
my $link = fork();
die "fork: $!" unless defined $link;
if ($link == 0)
{
	# The handlers of newer releases' Cluster.pm would stop the servers with it.
	$SIG{$_} = 'DEFAULT' for ('TERM', 'INT');
	$SIG{PIPE} = 'IGNORE';
	serve_link($listener, $primary->port, 3_000_000);
	POSIX::_exit(0);
}
close $listener;

sub clone_by
{
	my ($port, $standby, @options) = @_;
	return StandbyClone::Run->new('pg_standby_clone', '-D', $standby->data_dir, '-w', '-h', '127.0.0.1',
		'-p', $port, '--name', 'clone', @options);
}

my $slow = new_place('slow');
my $run = clone_by($link_port, $slow, '-N', '-v');
ok(wait_until('a stream compresses', sub {
	value(q(SELECT count(*) FROM clone_streams WHERE compression LIKE 'zstd:%')) > 0 || !$run->is_running }),
	'over a slow link');
ok($run->is_running, 'it compresses while it runs');
exit_is($run, 'completed', 'slow link');
is(value('SELECT bytes_sent < 0.75 * bytes_done FROM clone_status() LIMIT 1'), 't', 'and saves much of the link')
  or diag(value('SELECT bytes_sent, bytes_done FROM clone_status() LIMIT 1'));
prove_standby($primary, $slow, 'compressed');
$slow->stop;
kill 'TERM', $link;
waitpid($link, 0);
value("SELECT pg_drop_replication_slot('clone') FROM pg_replication_slots WHERE NOT active");
wait_until('the slot is free', sub { value("SELECT count(*) FROM pg_replication_slots") eq '0'
	|| value("SELECT count(pg_drop_replication_slot(slot_name)) FROM pg_replication_slots WHERE NOT active") });

# Fast: what compression could bring is less than what it costs.
my $fast = new_place('fast');
$run = clone_by($primary->port, $fast, '-N');
exit_is($run, 'completed', 'fast link');
is(value('SELECT bytes_sent > 0.9 * (bytes_done - zeros) FROM clone_status(), '
		. '(SELECT 100000 AS zeros) z LIMIT 1'), 't', 'sends as it is')
  or diag(value('SELECT bytes_sent, bytes_done FROM clone_status() LIMIT 1'));
value("SELECT pg_drop_replication_slot('clone')");

# Fixed ones are as they are said.
for my $fixed ([ 'none', 'none' ], [ 'zstd:5', 'zstd:5' ])
{
	my ($option, $shown) = @$fixed;
	my $place = new_place("fixed_$shown");
	$run = clone_by($primary->port, $place, '-N', '-Z', $option, '-r', '2M', '-j', '2');
	ok(wait_until("-Z $option is shown", sub {
		value("SELECT count(*) = 2 AND bool_and(compression = '$shown') FROM clone_streams") eq 't' }),
		"-Z $option is shown");
	$run->signal('INT');
	exit_is($run, 'cancelled', "-Z $option");
}
is_clean_on($primary, 'at the end');
done_testing();
