# Wire.pm: a client of our own that can say anything to a donor: PostgreSQL's frontend protocol by
# hand over the server's socket, and requests as docs/protocol.md has them.
package Wire;

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

# Kinds of requests, and of frames.
our %REQUEST = (hello => 1, begin => 2, list => 3, read => 4, compare => 5, page_hashes => 6,
	heartbeat => 7, pause_ack => 8, end => 9, ack_label => 10, outcome => 11, probe => 12,
	survey => 13, wal_hash => 14, changes => 15, newer_pages => 16, inherit => 17);
our %FRAME = (welcome => 1, begun => 2, entries => 3, list_end => 4, data => 5, range_end => 6,
	digest => 7, page_digest => 8, status => 9, label => 10, probe_result => 11,
	alive => 12, survey_result => 13, wal_hash_result => 14, changed => 15, changes_end => 16, newer_digest => 17);
our $version = 1;

sub text { my ($text) = @_; return pack('v', length $text) . $text }

# Connects as a role, with the trust that the tests' servers give, to a database.
sub connect
{
	my ($class, $node, %with) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path) or die "$path: $!";
	my $self = bless { socket => $socket, received => '', limit => $with{limit} // 60 }, $class;
	my $settings = join "\0", 'user', $with{user} // 'replicator', 'database', $with{database} // 'postgres',
	  'application_name', 'wire', '', '';
	$self->write(pack('N N', 8 + length $settings, 196608) . $settings);
	while (my ($type, $body) = $self->message)
	{
		die "refused: " . error_text($body) if $type eq 'E';
		($self->{pid}, $self->{key}) = unpack 'N N', $body if $type eq 'K';
		last if $type eq 'Z';
	}
	die "no end of the start-up\n" unless $self->{pid};
	return $self;
}

sub pid { return $_[0]{pid} }

sub write
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $done = 0;
	while ($done < length $bytes)
	{
		my $wrote = syswrite $self->{socket}, $bytes, length($bytes) - $done, $done;
		return 0 unless $wrote;
		$done += $wrote;
	}
	return 1;
}

sub send { my ($self, $type, $body) = @_; return $self->write($type . pack('N', 4 + length $body) . $body) }
sub request { my ($self, $request) = @_; return $self->send('d', $request) }
sub close { my ($self) = @_; CORE::close $self->{socket}; return }

# The next message, (type, body); nothing at the end of the connection. Dies when none comes in time.
sub message
{
	my ($self, $limit) = @_;
	my $end = time() + ($limit // $self->{limit});
	my $select = IO::Select->new($self->{socket});
	while (1)
	{
		if (length $self->{received} >= 5)
		{
			my ($type, $length) = unpack 'a N', $self->{received};
			if (length $self->{received} >= 1 + $length)
			{
				my $body = substr $self->{received}, 5, $length - 4;
				substr $self->{received}, 0, 1 + $length, '';
				return ($type, $body);
			}
		}
		my $rest = $end - time();
		die "no answer in time\n" if $rest <= 0;
		next unless $select->can_read($rest);
		my $got = sysread $self->{socket}, my $bytes, 65536;
		return unless $got;
		$self->{received} .= $bytes;
	}
}

sub error_text
{
	my ($body) = @_;
	my %field = map { substr($_, 0, 1) => substr($_, 1) } grep { length } split /\0/, $body;
	return join(' ', grep { defined } @field{qw(V C M)}) . (defined $field{H} ? "\n$field{H}" : '');
}

# The call; afterwards the connection is a clone's.
sub call
{
	my ($self) = @_;
	$self->send('Q', "CALL pg_standby_clone_stream()\0");
	while (my ($type, $body) = $self->message)
	{
		return $self if $type eq 'W';
		die "refused: " . error_text($body) if $type eq 'E';
	}
	die "the connection ended\n";
}

# Until a frame of this kind comes: its body, without the kind. Undefined at the end of the
# connection or an error, which is kept.
sub frame
{
	my ($self, $kind) = @_;
	while (my ($type, $body) = $self->message)
	{
		if ($type eq 'E') { $self->{error} = error_text($body); return }
		return substr $body, 1 if $type eq 'd' && ord($body) == $FRAME{$kind};
	}
	return;
}

# The error that ends this connection or, in a Status, its clone; '' if it ends without one. Dies if it does not end.
sub error
{
	my ($self) = @_;
	my $error = delete $self->{error} // '';
	while (my ($type, $body) = $self->message)
	{
		$error ||= error_text($body) if $type eq 'E';
		# The error is the last field of a Status.
		return $1 if $type eq 'd' && ord($body) == $FRAME{status} && unpack('x9 C', $body) >= 5
		  && $body =~ /([\x20-\x7e]{8,})$/;
	}
	return $error;
}

# --- requests ------------------------------------------------------------------------

sub hello
{
	my ($self, %with) = @_;
	return pack('C v v', $REQUEST{hello}, $with{version} // $version, $with{role} // 0)
	  . ($with{token} // "\0" x 16) . pack('l<', $with{pid} // $self->{pid}) . text($with{program} // 'wire')
	  . ($with{more} // '');
}

sub begin
{
	my (%with) = @_;
	return pack('C q<', $REQUEST{begin}, $with{request_id} // 0)
	  . text($with{target} // 'wire') . text($with{destination} // 'nowhere') . text($with{slot} // '')
	  . text($with{label} // 'wire')
	  . pack('C4 C c v Q< l< C', $with{slot_given} // 0, $with{fast} // 1, 1, $with{advance_slot} // 1, $with{compression} // 0,
		$with{level} // 0, $with{streams} // 2, $with{max_rate} // 0, $with{wal_sender_pid} // 0, $with{gentle} // 0) . text($with{request_uuid} // '')
	  . pack('Q< C', $with{replay_from} // 0, $with{method} // 0);
}

sub heartbeat
{
	my (%with) = @_;
	return pack 'C C Q< Q< Q< Q< Q< v v l< Q< C', $REQUEST{heartbeat}, $with{phase} // 1, $with{lsn} // 0, 0, 0, 0, 0, 0, 0, 0, 0,
	  $with{method} // 0;
}

sub read
{
	my ($path, %with) = @_;
	return pack('C V Q< V', $REQUEST{read}, $with{tag} // 0, $with{offset} // 0, $with{length} // 8192) . text($path)
	  . pack('C', $with{waited} // 0);
}

sub compare
{
	my ($path, %with) = @_;
	return pack('C V Q< Q<', $REQUEST{compare}, 0, $with{offset} // 0, $with{length} // 8192) . text($path)
	  . ($with{hashes} // 'h' x 16);
}

sub page_hashes
{
	my ($path, %with) = @_;
	return pack('C V Q< V', $REQUEST{page_hashes}, 0, $with{offset} // 0, $with{length} // 8192) . text($path);
}

sub changes { my ($since, $young_from) = @_; return pack 'C Q< Q<', $REQUEST{changes}, $since, $young_from // 0 }

sub newer_pages
{
	my ($path, %with) = @_;
	return pack('C V Q< V Q<', $REQUEST{newer_pages}, 0, $with{offset} // 0, $with{length} // 1048576, $with{since} // 0)
	  . text($path);
}

sub plain { my ($kind) = @_; return pack 'C', $REQUEST{$kind} }
sub outcome { my ($state, $error) = @_; return pack('C C', $REQUEST{outcome}, $state) . text($error // '') }

# --- a clone as far as it needs to be --------------------------------------------------

# A connection that has said Hello.
sub greet
{
	my ($class, $node, %with) = @_;
	my $self = $class->connect($node, %with)->call;
	$self->request($self->hello(%with));
	return $self;
}

# A control connection whose backup has started: ->{token}.
sub begun
{
	my ($class, $node, %with) = @_;
	my $self = $class->greet($node, %with);
	$self->frame('welcome') // die $self->error;
	$self->request(begin(%with));
	my $begun = $self->frame('begun') // die $self->error;
	$self->{token} = substr $begun, 0, 16;
	$self->wait_for_copying unless exists $with{wait} && !$with{wait};
	return $self;
}

# Takes the control connection's place.
sub reattach
{
	my ($self, $node, %with) = @_;
	my $other = ref($self)->greet($node, token => $self->{token}, %with);
	$other->frame('welcome') // die $other->error;
	$other->{token} = $self->{token};
	return $other;
}

sub wait_for_copying
{
	my ($self) = @_;
	my $end = time() + $self->{limit};
	while (time() < $end)
	{
		$self->request(heartbeat());
		my $status = $self->frame('status') // die $self->{error};
		return if unpack('x9 C', $status) >= 3;
		die "the clone has ended\n" if unpack('x8 C', $status) >= 4;
	}
	die "the backup did not start\n";
}

# A stream of that clone.
sub stream
{
	my ($class, $node, $control, %with) = @_;
	return $class->greet($node, role => 1, token => $control->{token}, %with);
}

1;
