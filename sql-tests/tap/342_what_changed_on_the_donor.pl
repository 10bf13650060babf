# What the donor says has changed since a point of its WAL, asked by a client of its own: each page that was written
# since is named, by the LSN of pages on every server, by WAL summaries on 17 and later; hardly any other. Where it
# cannot tell, it says why: a gap, a damaged summary, no summaries, a file whose pages carry no LSN.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

my $primary = new_primary(conf => "checkpoint_timeout = 1h\nautovacuum = off\n");
my $summarizes = major_of($primary) >= 17;
$primary->append_conf('postgresql.conf', "summarize_wal = on\n") if $summarizes;
$primary->restart;
$primary->safe_psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION');
$primary->safe_psql('postgres', <<SQL);
CREATE TABLE touched AS SELECT n, repeat('x', 500) AS text FROM generate_series(1, 20000) n;
CREATE TABLE left_alone AS SELECT n, repeat('x', 500) AS text FROM generate_series(1, 5000) n;
CREATE TABLE cut AS SELECT n, repeat('x', 500) AS text FROM generate_series(1, 5000) n;
VACUUM FREEZE touched, left_alone, cut;
SQL

sub number_of { my ($lsn) = @_; my ($high, $low) = split m{/}, $lsn; return (hex($high) << 32) + hex $low }
sub path_of { return $primary->safe_psql('postgres', "SELECT pg_relation_filepath('$_[0]')") }

# The LSN of each page on disk.
sub positions_of
{
	my ($path) = @_;
	my $bytes = slurp_file($primary->data_dir . "/$path");
	return map { my ($high, $low) = unpack 'V V', substr $bytes, $_ * 8192, 8; ($high << 32) + $low }
	  0 .. length($bytes) / 8192 - 1;
}

sub checkpoint
{
	$primary->safe_psql('postgres', 'CHECKPOINT');
	return number_of($primary->safe_psql('postgres', 'SELECT redo_lsn FROM pg_control_checkpoint()'));
}

my $since = checkpoint();
my %path = map { $_ => path_of($_) } qw(touched left_alone cut);
my %before = map { $_ => [ positions_of($path{$_}) ] } keys %path;
# Pages that a table was extended by and never used (19): they are always named.
my %is_new;
for my $table (keys %path)
{
	$is_new{$table}{$_} = 1 for grep { $before{$table}[$_] == 0 } 0 .. $#{ $before{$table} };
}
$primary->safe_psql('postgres', $_) for (
	"UPDATE touched SET text = repeat('y', 500) WHERE n % 2000 = 0",
	'DELETE FROM cut WHERE n > 1000', 'VACUUM cut',
	'CHECKPOINT',
	"INSERT INTO cut SELECT n, repeat('z', 500) FROM generate_series(1, 100) n");

my $control = Wire->begun($primary);
my $stream = Wire->stream($primary, $control);
$stream->frame('welcome') // die $stream->error;

# What was written: pages with another LSN than before, and those that were not there.
sub written
{
	my ($table) = @_;
	my @after = positions_of($path{$table});
	return grep { $_ >= @{ $before{$table} } || $after[$_] != $before{$table}[$_] } 0 .. $#after;
}

sub is_named
{
	my ($table, $named, $what) = @_;
	my @written = written($table);
	my @missed = grep { !$named->{$_} } @written;
	is("@missed", '', "$table, $what: each page that was written is named");
	my @named = grep { !$is_new{$table}{$_} } keys %$named;
	cmp_ok(scalar @named, '<=', scalar @written, "$table, $what: no other");
	return;
}

sub newer_in
{
	my ($path, %with) = @_;
	$stream->request(Wire::newer_pages($path, length => 16 << 20, %with));
	my $digest = $stream->frame('newer_digest') // die $stream->error;
	my (undef, $status, $length, $is_unreliable, $bits) = unpack 'V C V C b*', $digest;
	return { status => $status, length => $length, is_unreliable => $is_unreliable,
		pages => { map { $_ => 1 } grep { substr $bits, $_, 1 } 0 .. length($bits) - 1 } };
}

for my $table (sort keys %path)
{
	my $newer = newer_in($path{$table}, since => $since);
	is($newer->{length}, -s $primary->data_dir . "/$path{$table}", "$table, by LSN: all of it was looked at");
	is($newer->{is_unreliable}, 0, "$table, by LSN: can be relied on");
	is_named($table, $newer->{pages}, 'by LSN');
}
is(scalar keys %{ newer_in($path{left_alone}, since => 0)->{pages} }, scalar @{ $before{left_alone} }, 'since ever: all pages');
is(newer_in('PG_VERSION')->{is_unreliable}, 1, 'a file that is no relation tells nothing');
is(newer_in("$path{touched}.9")->{status}, 1, 'a file that is not there');

# Pages of which nobody can tell when they were written, and one from a future that the donor has not reached.
sub with_position
{
	my ($position) = @_;
	my $file = $primary->data_dir . "/$path{left_alone}";
	my $bytes = slurp_file($file);
	substr $bytes, 3 * 8192, 8, pack('V V', $position >> 32, $position & 0xffffffff);
	open my $out, '+<:raw', $file or die $!;
	print $out $bytes;
	close $out or die $!;
	return newer_in($path{left_alone}, since => $since);
}
my ($kept) = $before{left_alone}[3];
is(join(' ', grep { !$is_new{left_alone}{$_} } keys %{ with_position($_)->{pages} }), '3', "LSN $_ tells nothing: the page is named") for (0, 999);
my $future = with_position(number_of('FFFFFF/0'));
is($future->{is_unreliable}, 1, 'an LSN that the WAL has not reached: the file cannot be relied on');
with_position($kept);

# --- by summaries --------------------------------------------------------------------

sub changes_since
{
	my ($lsn, $young_from) = @_;
	$control->request(Wire::changes($lsn, $young_from));
	my (%forks, $count);
	while (my ($type, $body) = $control->message)
	{
		die Wire::error_text($body) if $type eq 'E';
		next unless $type eq 'd';
		my $kind = ord $body;
		substr $body, 0, 1, '';
		if ($kind == $Wire::FRAME{changes_end})
		{
			my ($is_whole, $fork_count, $reason, $all_young, $young) = unpack 'C Q< v/a C a*', $body;
			is($count // 0, $fork_count, 'all forks came') if $is_whole;
			return { is_whole => $is_whole, forks => \%forks, reason => $reason, all_young => $all_young,
				young => join ' ', sort { $a <=> $b } unpack 'V*', $young };
		}
		next unless $kind == $Wire::FRAME{changed};
		while (length $body)
		{
			my ($tablespace, $database, $relation, $fork, $limit, $ranges) = unpack 'V V V C V V', $body;
			substr $body, 0, 21, '';
			my $is = $forks{"$relation $fork"} //= { limit => $limit, pages => {} };
			$is->{limit} = $limit if $limit < $is->{limit};
			for (1 .. $ranges)
			{
				my ($first, $blocks) = unpack 'V V', $body;
				substr $body, 0, 8, '';
				$is->{pages}{$_} = 1 for $first .. $first + $blocks - 1;
			}
			++$count;
		}
	}
	die "the connection ended\n";
}

if (!$summarizes)
{
	my $changes = changes_since($since);
	is($changes->{is_whole}, 0, 'no summaries: not whole');
	like($changes->{reason}, qr/does not summarize WAL/, 'no summaries: says why');
}
else
{
	my $changes = changes_since($since);
	is($changes->{is_whole}, 1, 'by summaries: whole') or diag $changes->{reason};
	my %of = map { my ($number) = $path{$_} =~ /(\d+)$/; $_ => $changes->{forks}{"$number 0"} } keys %path;
	ok(!$of{left_alone}, 'left_alone, by summaries: not named');
	is_named('touched', $of{touched}{pages}, 'by summaries');
	my @missed = grep { $_ < $of{cut}{limit} && !$of{cut}{pages}{$_} } written('cut');
	is("@missed", '', 'cut, by summaries: each page that was written is named, or lies beyond where it was cut');
	cmp_ok($of{cut}{limit}, '<', scalar @{ $before{cut} }, 'cut, by summaries: where it was cut');

	my $early = changes_since(8);
	is($early->{is_whole}, 0, 'from before all WAL: not whole');
	like($early->{reason}, qr/has no WAL summary of /, 'from before all WAL: says why');

	my @summaries = sort glob $primary->data_dir . '/pg_wal/summaries/*.summary';
	my $last = $summaries[-1];
	my $content = slurp_file($last);
	# Counts of it that are trusted would be a way to write beyond the reader's memory: each byte is proved first.
	my %damaged = ('cut' => substr($content, 0, length($content) / 2), 'empty' => '', 'of three bytes' => 'abc',
		'longer' => $content . 'x', 'of ones' => substr($content, 0, 4) . "\xff" x (length($content) - 4));
	$damaged{"with byte $_ flipped"} = $content ^ ("\0" x $_ . "\x80") for 0, 5, 20, 24, 30, length($content) - 1;
	for my $how (sort keys %damaged)
	{
		open my $out, '>:raw', $last or die $!;
		print $out $damaged{$how};
		close $out or die $!;
		my $damaged = changes_since($since);
		is($damaged->{is_whole}, 0, "a summary $how: not whole");
		like($damaged->{reason}, qr/damaged WAL summary/, "a summary $how: says which");
	}
	unlink $last or die $!;
	like(changes_since($since)->{reason}, qr/has no WAL summary of /, 'one that was removed: a gap');
}

# What is copied file by file keeps the LSNs of its template: asked when the backup has begun, none is overlooked.
my $young_from = $primary->safe_psql('postgres', 'SELECT pg_snapshot_xmax(pg_current_snapshot())::text');
$primary->safe_psql('postgres', 'CREATE DATABASE copied STRATEGY file_copy');
my $copied = $primary->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'copied'");
is(changes_since(8, $young_from)->{young}, $copied, 'a database made since is young, though the backup had begun');
is(changes_since(8, $young_from + 2**31)->{all_young}, 1, 'of a transaction that has not been nothing is known');

# The clone is none the worse for it.
$control->request(Wire::heartbeat());
ok(defined $control->frame('status'), 'the clone goes on');
is(status_of($primary, 'state'), 'running', 'the clone still runs');
done_testing();
