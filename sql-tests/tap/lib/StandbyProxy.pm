# StandbyProxy.pm: a network between helper and donor that a test can break: a TCP port of this
# machine, forwarded to a node's socket by a process of its own.
package StandbyProxy;

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

my $kept_at_most = 256 * 1024;
my @all;

sub new
{
	my ($class, $node) = @_;
	my $listener = listen_on(0);
	socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
	my $self = bless {
		port => $listener->sockport, control => $ours, owner => $$,
		behind => $node->host . '/.s.PGSQL.' . $node->port }, $class;
	$self->{pid} = fork() // die "fork: $!";
	if ($self->{pid} == 0)
	{
		close $ours;
		eval { serve($self, $listener, $theirs) };
		POSIX::_exit($@ ? 1 : 0);
	}
	close $theirs;
	close $listener;
	push @all, $self;
	return $self;
}

sub port { return $_[0]{port} }

# Where the program shall connect to.
sub options { return ('-h', '127.0.0.1', '-p', $_[0]{port}) }

# All connections are reset, new ones refused.
sub cut { return $_[0]->say('cut') }

# Half-open: all connections stay, and new ones are accepted, but nothing passes any more.
sub swallow { return $_[0]->say('swallow') }

# New connections pass again. Those that were swallowed stay as they are.
sub mend { return $_[0]->say('mend') }

# Bytes that have passed, both ways.
sub bytes { return $_[0]->say('bytes') }

sub say
{
	my ($self, $what) = @_;
	syswrite($self->{control}, "$what\n") or die "the proxy is gone: $!";
	my $answer = '';
	while ($answer !~ /\n/)
	{
		sysread($self->{control}, $answer, 100, length $answer) or die "the proxy is gone: $!";
	}
	chomp $answer;
	return $answer;
}

sub listen_on
{
	my ($port) = @_;
	return IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1, Blocking => 0)
	  || die "listen: $@";
}

sub serve
{
	my ($self, $listener, $control) = @_;
	my (%socket, %peer, %waiting, %is_dead);    # by file number
	my ($bytes, $swallows, $commands) = (0, 0, '');
	$SIG{PIPE} = 'IGNORE';
	my $drop = sub {
		my @pair = grep { defined } $_[0], $peer{ $_[0] };
		for my $number (@pair)
		{
			close delete $socket{$number} if $socket{$number};
			delete $_->{$number} for \%peer, \%waiting, \%is_dead;
		}
	};
	my $obey = sub {
		my ($what) = @_;
		if ($what eq 'cut')
		{
			close $listener if $listener;
			undef $listener;
			$drop->($_) for keys %socket;
		}
		elsif ($what eq 'swallow') { $swallows = 1; $is_dead{$_} = 1 for keys %socket }
		elsif ($what eq 'mend')
		{
			$swallows = 0;
			$listener ||= listen_on($self->{port});
		}
		return $what eq 'bytes' ? $bytes : 'done';
	};
	my $accept = sub {
		my $from = $listener->accept or return;
		$from->blocking(0);
		$socket{ fileno $from } = $from;
		$waiting{ fileno $from } = '';
		if ($swallows) { $is_dead{ fileno $from } = 1; return }
		my $to = IO::Socket::UNIX->new(Peer => $self->{behind}) or return $drop->(fileno $from);
		$to->blocking(0);
		$socket{ fileno $to } = $to;
		$waiting{ fileno $to } = '';
		@peer{ fileno($from), fileno($to) } = (fileno($to), fileno($from));
	};
	while (1)
	{
		my @live = grep { !$is_dead{$_} } keys %socket;
		my $readers = IO::Select->new($control, $listener // (),
			map { $socket{$_} } grep { length $waiting{ $peer{$_} } < $kept_at_most } @live);
		my $writers = IO::Select->new(map { $socket{$_} } grep { length $waiting{$_} } @live);
		my ($ready, $roomy) = IO::Select->select($readers, $writers, undef, 10);
		for my $handle (@{ $roomy // [] })
		{
			my $number = fileno $handle // next;
			my $sent = syswrite $handle, $waiting{$number};
			substr($waiting{$number}, 0, $sent, '') if $sent;
			$drop->($number) if !defined $sent && !$!{EAGAIN};
		}
		for my $handle (@{ $ready // [] })
		{
			if ($handle == $control)
			{
				sysread($control, $commands, 100, length $commands) or return;
				syswrite $control, $obey->($1) . "\n" while $commands =~ s/^(\w+)\n//;
				last;    # what was ready may be closed now
			}
			if ($listener && $handle == $listener) { $accept->(); next }
			my $number = fileno $handle // next;
			my $got = sysread $handle, my $piece, 65536;
			if ($got) { $bytes += $got; $waiting{ $peer{$number} } .= $piece }
			elsif (defined $got || !$!{EAGAIN})
			{
				# What came before the end is still delivered.
				my $to = $peer{$number};
				if (length $waiting{$to})
				{
					$socket{$to}->blocking(1);
					syswrite $socket{$to}, $waiting{$to};
				}
				$drop->($number);
			}
		}
	}
}

sub stop
{
	my ($self) = @_;
	return if !$self->{pid} || $self->{owner} != $$;
	close $self->{control};
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
}

END
{
	my $status = $?;
	$_->stop for @all;
	$? = $status;
}

1;
