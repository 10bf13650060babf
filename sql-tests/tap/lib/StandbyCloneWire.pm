# StandbyCloneWire.pm: a helper in a few lines, for what the real one never does: another version,
# a request that is not its own, a control connection that says nothing more. Speaks the server's
# protocol over a Unix socket, without a password.
package StandbyCloneWire;

use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use Test::More;

sub new
{
	my ($class, $node) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Peer => $path) or die "connect to $path: $!";
	my $self = bless { socket => $socket, input => '', pid => 0 }, $class;
	my $startup = pack('N', 196608) . "user\0" . getpwuid($>) . "\0database\0postgres\0application_name\0pg_standby_clone\0\0";
	$self->write(pack('N', length($startup) + 4) . $startup);
	while (my ($type, $body) = $self->message)
	{
		$self->{pid} = unpack('N', $body) if $type eq 'K';
		last if $type eq 'Z';
		die "startup: $body" if $type eq 'E';
	}
	$self->write(packed('Q', "CALL pg_standby_clone_stream()\0"));
	my ($type, $body) = $self->message;
	die "CALL: $type $body" if $type ne 'W';
	return $self;
}

sub packed { my ($type, $body) = @_; return $type . pack('N', length($body) + 4) . $body }
sub text { return pack('v', length $_[0]) . $_[0] }

sub write
{
	my ($self, $bytes) = @_;
	$self->{socket}->syswrite($bytes);
}

# The next message as (type, body); dies after a minute, empty at the end of the connection.
sub message
{
	my ($self) = @_;
	my $end = time() + 60;
	while (1)
	{
		if (length $self->{input} >= 5)
		{
			my ($type, $length) = unpack('aN', $self->{input});
			if (length $self->{input} >= $length + 1)
			{
				my $body = substr($self->{input}, 5, $length - 4);
				substr($self->{input}, 0, $length + 1) = '';
				return ($type, $body);
			}
		}
		die "no answer from the server" if time() > $end;
		next unless IO::Select->new($self->{socket})->can_read(1);
		$self->{socket}->sysread($self->{input}, 65536, length $self->{input}) or return ();
	}
}

sub request { my ($self, $bytes) = @_; $self->write(packed('d', $bytes)) }

sub hello
{
	my ($self, %with) = @_;
	$self->request(pack('CvvA16Va*', 1, $with{version} // 1, 0, "\0" x 16, $self->{pid}, text('0.1.0'))
		. ($with{more} // ''));
}

# Without a permanent slot and without WAL.
sub begin
{
	my ($self, %with) = @_;
	$self->request(pack('Cq<', 2, $with{request} // 0) . text($with{target}) . text('a test') . text('') . text('label')
		. pack('CCCCCcvQ<l<', 0, 1, 1, 0, 0, 0, 1, 0, 0));
}

# Reads until the error that ends the clone, whether it comes as a message of the server or in a
# Status; returns its text.
sub error
{
	my ($self) = @_;
	while (my ($type, $body) = $self->message)
	{
		return join "\n", map { substr $_, 1 } grep { /^[MH]/ } split /\0/, $body if $type eq 'E';
		next unless $type eq 'd' && ord($body) == 9;
		my ($state) = unpack('x9C', $body);
		# The error is the last field.
		return $1 if $state >= 5 && $body =~ /([\x20-\x7e]{8,})$/;
	}
	return 'end of the connection';
}

sub close { $_[0]{socket}->close }

1;
