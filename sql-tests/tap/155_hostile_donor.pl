# A donor that lies: paths that leave the directory, sizes of no file, bytes altered on their way,
# frames out of order, ranges nobody asked for. The helper writes nothing outside its directories, takes
# no altered byte for a good one, and leaves nothing that starts.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Falsifier;
use Wire;

my $primary = new_primary();
my $space = scratch('space');
$primary->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
$primary->safe_psql('postgres', 'CREATE TABLE inside (id integer) TABLESPACE space; INSERT INTO inside VALUES (1)');

# Everything near the directories that the helper may write in.
my $ground = scratch('ground');
append_to_file("$ground/VERSION", 'mine');
append_to_file("$ground/canary", 'alive');
sub seen_outside
{
	return join "\n", map { "$_ " . (-d $_ ? '' : content_of($_)) } sort grep { !m{/(data|space)$} } glob "$ground/* $ground/.[a-z]*";
}
my $outside = seen_outside();

my $number = 0;
sub lies
{
	my ($what, $kind, $alter, %with) = @_;
	my $wanted = $Wire::FRAME{$kind};
	my $altered = 0;
	my $falsifier = Falsifier->new($primary, sub {
		my ($frame) = @_;
		return $frame if ord($frame) != $wanted || $altered;
		my @instead = $alter->($frame);
		$altered = 1 if @instead != 1 || $instead[0] ne $frame;
		return @instead;
	});
	my $data = "$ground/data";
	my $run = StandbyClone::Run->new('pg_standby_clone', '-D', $data, '-w', '-N', '-h', $falsifier->host,
		'-p', $falsifier->port, '--name', 'liar' . ++$number, '-T', "$space=$ground/space",
		@{ $with{options} // [] });
	my $class = $with{class} // 'corrupted';
	exit_is($run, $class, $what);
	like($run->err, $with{like}, "$what: says so") if $with{like};
	unlike($run->err, qr/Sanitizer|terminate called|Assertion/, "$what: orderly");
	ok(!-e "$data/global/pg_control", "$what: nothing that starts");
	is(seen_outside(), $outside, "$what: nothing is written outside");
	$falsifier->stop;
	system 'rm', '-rf', $data, "$ground/space";
	return;
}

# Bytes of a frame, by the grammar of docs/protocol.md: kind, coding, tag, plain size, crc, offset.
my @data_fields = ([ kind => 0, 'C' ], [ coding => 1, 'C' ], [ tag => 2, 'V' ], [ plain_size => 6, 'V' ],
	[ crc => 10, 'V' ], [ offset => 14, 'Q<' ]);
sub with_field
{
	my ($frame, $name, $value) = @_;
	my ($field) = grep { $_->[0] eq $name } @data_fields;
	substr $frame, $field->[1], length(pack $field->[2], 0), pack($field->[2], $value);
	return $frame;
}
my $some_data = sub {
	my ($change) = @_;
	# Whole pages that are not all zero.
	return sub { my ($frame) = @_; return length $frame > 4096 ? $change->($frame) : $frame };
};

# --- the list ---------------------------------------------------------------------------------

my $distrust = qr/cannot be trusted/;
my $rename = sub { my ($from, $to) = @_; return sub { return $_[0] =~ s/\Q$from\E/$to/r } };
lies('a path that goes up', 'entries', $rename->('PG_VERSION', '../VERSION'), like => $distrust);
lies('a path that goes up from within', 'entries', $rename->('global/pg_filenode.map', 'global/../../VERSION.x'),
	like => $distrust);
lies('an absolute path', 'entries', $rename->('postgresql.conf', '/tmp/outside.cf'), like => $distrust);
lies('a name that the clone itself gives', 'entries', $rename->('postgresql.conf', 'backup_manifest'), like => $distrust);
lies('a file in a directory that is not in the list', 'entries',
	$rename->('global/pg_filenode.map', 'globes/pg_filenode.map'), like => $distrust);
lies('a name said twice', 'entries', $rename->('global/2397', 'global/1214'), like => $distrust);
lies('a tablespace with a name of its own', 'entries', sub { return $_[0] =~ s{pg_tblspc/\d}{pg_tblspc/.}r },
	like => $distrust);
lies('a file as large as no disk', 'entries',
	sub { my ($frame) = @_; my $at = index($frame, "\x0a\0PG_VERSION"); substr $frame, $at - 9, 1, "\x7f" if $at > 9; return $frame },
	like => $distrust);
lies('half an entry', 'entries', sub { return substr $_[0], 0, -1 });
lies('fewer entries than announced', 'entries', sub { return () }, like => $distrust);
lies('an entry of an unknown kind', 'entries', sub { my ($frame) = @_; substr $frame, 1, 1, "\x63"; return $frame },
	like => $distrust);

# --- the data --------------------------------------------------------------------------------

lies('a flipped bit', 'data',
	$some_data->(sub { my ($frame) = @_; substr $frame, 1000, 1, chr(ord(substr $frame, 1000, 1) ^ 4); return $frame }));
lies('another checksum', 'data', $some_data->(sub { return with_field($_[0], crc => 1) }));
lies('zeros instead', 'data', $some_data->(sub { return with_field(substr($_[0], 0, 22), coding => 2) }));
lies('an unknown coding', 'data', $some_data->(sub { return with_field($_[0], coding => 77) }));
lies('another place in the file', 'data', $some_data->(sub { return with_field($_[0], offset => 1 << 40) }));
lies('a place before the file', 'data', $some_data->(sub { return with_field($_[0], offset => ~0) }));
lies('a file nobody asked for', 'data', $some_data->(sub { return with_field($_[0], tag => 0xfffffff0) }));
lies('4 GB in one frame', 'data', $some_data->(sub { return with_field($_[0], plain_size => 0xffffffff) }));
lies('no bytes', 'data', $some_data->(sub { return with_field(substr($_[0], 0, 22), plain_size => 0) }));
lies('a frame twice', 'data', $some_data->(sub { return ($_[0], $_[0]) }));
lies('a frame that is missing', 'data', $some_data->(sub { return () }));
lies('a frame cut short', 'data', $some_data->(sub { return substr $_[0], 0, 15 }));
lies('a frame of an unknown kind', 'data', $some_data->(sub { return "\x63" . substr $_[0], 1 }));
lies('more than it says when expanded', 'data', sub { return length $_[0] > 200 && ord(substr $_[0], 1, 1) == 1 ? with_field($_[0], plain_size => 100) : $_[0] },
	options => [ '-Z', 'zstd' ]);
lies('compressed noise', 'data',
	sub { my ($frame) = @_; return $frame if length $frame < 200 || ord(substr $frame, 1, 1) != 1; substr $frame, 60, 40, 'x' x 40; return $frame },
	options => [ '-Z', 'zstd' ]);
lies('a range longer than asked for', 'range_end', sub { my ($frame) = @_; substr $frame, 6, 4, pack('V', 0xfffffff0); return $frame });
lies('a range that is shorter than what came', 'range_end',
	sub { my ($frame) = @_; return $frame if unpack('x6 V', $frame) < 8192; substr $frame, 6, 4, pack('V', 1); return $frame });

# And through the same falsifier, with nothing altered, a clone is a clone.
my $honest = Falsifier->new($primary, sub { return $_[0] });
my $standby = new_place();
my $run = StandbyClone::Run->new('pg_standby_clone', '-D', $standby->data_dir, '-w', '-N', '-h', $honest->host, '-p',
	$honest->port, '--name', 'clone', '-T', "$space=$ground/space");
exit_is($run, 'completed', 'an honest donor');
command_ok([ 'pg_verifybackup', $standby->data_dir ], 'an honest donor: pg_verifybackup is content');
$honest->stop;

done_testing();
