# Falsifier.pm: stands between a helper and its donor and alters what the donor says: a donor that is
# broken, or hostile.
package Falsifier;

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Utils;

# A socket directory like the node's. `alter` is given each frame of the donor's (the body of a
# CopyData) and returns what goes on: bodies of messages, or nothing.
sub new
{
	my ($class, $node, $alter) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir_short();
	my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Listen => 20,
		Local => "$directory/.s.PGSQL." . $node->port) or die "listen: $!";
	my $self = bless { host => $directory, port => $node->port, owner => $$ }, $class;
	my $donor = $node->host . '/.s.PGSQL.' . $node->port;
	$self->{pid} = fork() // die "fork: $!";
	return $self if $self->{pid};
	# A process of our own must run no clean-up of the test.
	setpgrp;
	$SIG{PIPE} = 'IGNORE';
	local $SIG{CHLD} = 'IGNORE';
	while (my $helper = $listener->accept)
	{
		next if fork();
		my $server = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $donor) or POSIX::_exit(1);
		eval { pass_on($helper, $server, $alter); 1 } or print STDERR "Falsifier: $@";
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

sub host { return $_[0]{host} }
sub port { return $_[0]{port} }

sub write_all
{
	my ($socket, $bytes) = @_;
	for (my $done = 0; $done < length $bytes;)
	{
		my $wrote = syswrite $socket, $bytes, length($bytes) - $done, $done or return 0;
		$done += $wrote;
	}
	return 1;
}

sub pass_on
{
	my ($helper, $server, $alter) = @_;
	my $select = IO::Select->new($helper, $server);
	my $pending = '';
	while (1)
	{
		for my $from ($select->can_read)
		{
			sysread $from, my $bytes, 1 << 18 or return;
			if ($from == $helper) { write_all($server, $bytes) or return; next }
			$pending .= $bytes;
			while (length $pending >= 5)
			{
				my ($type, $length) = unpack 'a N', $pending;
				last if length $pending < 1 + $length;
				my $message = substr $pending, 0, 1 + $length, '';
				my @bodies = $type eq 'd' ? $alter->(substr $message, 5) : ();
				$message = join '', map { 'd' . pack('N', 4 + length) . $_ } @bodies if $type eq 'd';
				write_all($helper, $message) or return;
			}
		}
	}
}

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill 'KILL', -$pid;
	waitpid $pid, 0;
	return;
}

sub DESTROY { my ($self) = @_; local $?; $self->stop if $self->{owner} == $$; return }

1;
