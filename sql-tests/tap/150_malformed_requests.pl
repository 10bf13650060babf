# Anything may come over the wire: requests cut, garbled, oversized, out of order, replayed, for
# files that do not travel, with tokens of nobody. Each is refused with a reason, none takes down a
# backend, and nothing stays: slot, backup, shared memory, open file, process.
use strict;
use warnings;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

# Segments of dynamic shared memory are files here, where they can be counted.
my $primary = new_primary(conf => <<CONF);
dynamic_shared_memory_type = mmap
pg_standby_clone.reconnect_timeout = 4s
allow_in_place_tablespaces = on
log_min_messages = warning
CONF
$primary->safe_psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION; CREATE ROLE nobody LOGIN');
my $space = scratch('space');
$primary->safe_psql('postgres', "CREATE TABLESPACE space LOCATION '$space'");
fill_primary($primary, rows => 2000);
my $data = $primary->data_dir;
my $started = $primary->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

# The server's own statistics grow by whole segments of 1 MiB, which stay.
sub segments { return scalar(grep { -s $_ != 1024 * 1024 } glob "$data/pg_dynshmem/mmap.*") }
my $segments = segments();

# What a request is answered with, on a connection of its own.
sub answered
{
	my ($what, $like, @requests) = @_;
	my $wire = Wire->connect($primary)->call;
	for my $request (@requests)
	{
		last unless ref $request ? $request->($wire) : $wire->request($request);
	}
	my $error = eval { $wire->error } // "it went on: $@";
	$wire->close;
	return like($error, $like, $what);
}

sub hello { return sub { $_[0]->request($_[0]->hello(@_[1 .. $#_])) } }
my $hello = hello();

# --- who may ------------------------------------------------------------------------

ok(!eval { Wire->connect($primary, user => 'nobody')->call }, 'a role without REPLICATION is refused');
like($@, qr/ 42501 /, 'with the SQLSTATE for it');

# --- before and in Hello ---------------------------------------------------------------

my $malformed = qr/^(FATAL|ERROR) 08P01 /;
Wire->connect($primary)->call->close;    # and nothing said
answered('no Hello', $malformed, sub { $_[0]->send('c', '') });
answered('a query in copy', $malformed, sub { $_[0]->send('Q', "SELECT 1\0") });
answered('CopyFail', $malformed, sub { $_[0]->send('f', "no more\0") });
answered('unknown type', $malformed, sub { $_[0]->send("\xff", 'x') });
answered('a length below its own', $malformed, sub { $_[0]->write("d\0\0\0\3") });
answered('a negative length', $malformed, sub { $_[0]->write("d\xff\xff\xff\xff") });
answered('16 MB to come', $malformed, sub { $_[0]->write("d\1\0\0\0" . 'x' x 1000) });
answered('larger than any request', $malformed, sub { $_[0]->request('x' x 20000) });
answered('an empty request', $malformed, '');
answered('another request first', $malformed, Wire::plain('list'));
answered('another version', qr/ 0A000 .*version 2/, sub { $_[0]->request($_[0]->hello(version => 2)) });
answered('role 65', $malformed, sub { $_[0]->request($_[0]->hello(role => 65)) });
answered('role 65535', $malformed, sub { $_[0]->request($_[0]->hello(role => 65535)) });
answered('the process of somebody else', qr/ 08000 .*pooler/, sub { $_[0]->request($_[0]->hello(pid => 1)) });
answered('Hello and more', $malformed, sub { $_[0]->request($_[0]->hello . 'x') });
my $whole = length Wire::hello({ pid => 1 });
my @accepted = grep {
	my $size = $_;
	my $wire = Wire->connect($primary)->call;
	$wire->request(substr $wire->hello, 0, $size);
	my $error = $wire->error;
	$error !~ $malformed;
} 1 .. $whole - 1;
is("@accepted", '', 'Hello cut at each byte is refused');

# --- tokens -------------------------------------------------------------------------------

my $unknown = qr/^(FATAL|ERROR) (?!XX000)\w{5} /;
answered('a control connection with a token of nobody', $unknown, sub { $_[0]->request($_[0]->hello(token => 'x' x 16)) });
answered('a stream with a token of nobody', $unknown, sub { $_[0]->request($_[0]->hello(role => 1, token => 'x' x 16)) });
answered('a stream without a token', $unknown, sub { $_[0]->request($_[0]->hello(role => 1)) });

# --- control -------------------------------------------------------------------------------

answered("$_ before Begin", $malformed, $hello, Wire::plain($_)) for qw(end ack_label pause_ack);
answered('Heartbeat before Begin', $malformed, $hello, Wire::heartbeat());
answered('Outcome before Begin', $malformed, $hello, Wire::outcome(4));
answered('Read on the control connection', $malformed, $hello, Wire::read('PG_VERSION'));
answered('kind 0', $malformed, $hello, "\0");
answered('kind 255', $malformed, $hello, "\xff" x 10);
my $begin = Wire::begin();
@accepted = grep {
	my $wire = Wire->connect($primary)->call;
	$wire->request($wire->hello);
	$wire->request(substr $begin, 0, $_);
	$wire->error !~ $malformed;
} grep { $_ % 3 == 0 || $_ > length($begin) - 4 } 1 .. length($begin) - 1;
is("@accepted", '', 'Begin cut at many bytes is refused');
answered('Begin and more', $malformed, $hello, "$begin\0");
answered('Begin without a name', $malformed, $hello, Wire::begin(target => ''));
answered('Begin with too long a name', $malformed, $hello, Wire::begin(target => 'x' x 64));
answered('Begin with a zero in the name', qr/ 22021 /, $hello, Wire::begin(target => "a\0b"));
answered('Begin with a name in no encoding', qr/ 22021 /, $hello, Wire::begin(target => "\xff\xfe"));
answered('Begin with a label in no encoding', qr/ 22021 /, $hello, Wire::begin(label => "\xc3\x28"));
answered('Begin with a slot name that is none', qr/ 42602 /, $hello, Wire::begin(slot => "x' or y"));
answered('Begin with a slot that is not there', qr/ 42704 /, $hello, Wire::begin(slot => 'none', slot_given => 1));
answered('Begin with no streams', $unknown, $hello, Wire::begin(streams => 0));
answered('Begin with 65535 streams', $unknown, $hello, Wire::begin(streams => 65535));
answered('Begin with unknown compression', $malformed, $hello, Wire::begin(compression => 9));
answered('Begin with an unknown method', $malformed, $hello, Wire::begin(method => 9));
answered('Begin of a replay from nowhere', $malformed, $hello, Wire::begin(method => 1));
answered('Begin of a copy that replays', $malformed, $hello, Wire::begin(replay_from => 1 << 24));
answered('Begin of a negative request', $malformed, $hello, Wire::begin(request_id => -5));
answered('Begin twice', $malformed, $hello, Wire::begin(target => 'twice'), Wire::begin(target => 'again'));
answered('a phase that is none', $malformed, $hello, Wire::begin(target => 'ahead'), Wire::heartbeat(phase => 255));
answered('another method', $malformed, $hello, Wire::begin(target => 'otherwise'), Wire::heartbeat(method => 2));
answered('an outcome that is none', $malformed, $hello, Wire::begin(target => 'strange'), Wire::outcome(1));
is_clean_on($primary, 'refused control connections');

# --- streams: what may be read -------------------------------------------------------------

my $control = Wire->begun($primary, target => 'paths', level => 127, compression => 1);
my $beat = sub { $control->request(Wire::heartbeat()) };
# A file of the operating system's, and one of the server's that does not travel, behind links and names.
my $outside = scratch('outside');
append_to_file("$outside/secret", 'secret');
symlink "$outside/secret", "$data/link" or die;
symlink $outside, "$data/base/99999" or die;
symlink $outside, "$data/pg_tblspc/99999" or die;
mkfifo "$data/pipe", 0600 or die;
mkdir "$space/other" or die;
append_to_file("$space/other/secret", 'secret');
my $oid = $primary->safe_psql('postgres', "SELECT oid FROM pg_tablespace WHERE spcname = 'space'");

my $read_as = sub {
	my ($request) = @_;
	$beat->();
	my $stream = Wire->stream($primary, $control);
	$stream->frame('welcome') // die $stream->{error};
	$stream->request($request);
	my $data_of = $stream->frame('range_end');
	my $error = defined $data_of ? 'it was read' . (unpack('x4 C', $data_of) ? ': gone' : '') : $stream->error;
	$stream->close;
	return $error;
};
is($read_as->(Wire::read('PG_VERSION')), 'it was read', 'a file that travels is read');
for my $path ('', '.', '..', '../secret', "$outside/secret", '/etc/passwd', 'base/../PG_VERSION', 'base//1/1255',
	'base/1/', './PG_VERSION', 'base/.', "base\n/1", "PG_VERSION\0.conf", 'x' x 1024, 'x/' x 600 . 'x',
	'postmaster.pid', 'postmaster.opts', 'backup_label', 'tablespace_map', 'standby.signal', 'recovery.signal',
	'pg_wal/000000010000000000000001', 'pg_wal', 'pg_replslot/x/state', 'pg_dynshmem/mmap.1', 'pg_stat_tmp/x',
	'pg_notify/0000', 'pg_subtrans/0000', 'base/pgsql_tmp/x', 'base/1/pg_internal.init', 'base/1/t3_16384',
	'pg_standby_clone.journal', 'pg_tblspc/../PG_VERSION', "pg_tblspc/$oid/other/secret",
	"pg_tblspc/$oid/../PG_VERSION", 'pg_tblspc/99999/secret', 'link', 'base/99999/secret', 'pipe', 'base', 'global/pg_control/x')
{
	my $shown = length $path > 60 ? length($path) . ' bytes' : $path =~ s/[^ -~]/?/gr;
	my $said = $read_as->(Wire::read($path));
	# A name that the operating system knows nothing of is a file that is gone.
	my $refused = $path =~ m{^(x+|(x/)+x)$} && length $path < 1024 || $path eq 'global/pg_control/x'
	  ? qr/gone|^FATAL/ : qr/^FATAL (22023|42809|08P01|42622|22021) /;
	like($said, $refused, "not to be read: \"$shown\"");
}
unlink "$data/link", "$data/base/99999", "$data/pg_tblspc/99999", "$data/pipe";

for ([ 'an offset beyond any file', Wire::read('PG_VERSION', offset => 1 << 63) ],
	[ 'a length beyond a chunk', Wire::read('PG_VERSION', length => 0xffffffff) ],
	[ 'part of pg_control', Wire::read('global/pg_control', offset => 1) ],
	[ 'hashes that do not fit the length', Wire::compare('PG_VERSION', length => 1 << 40) ],
	[ 'half a hash', Wire::compare('PG_VERSION', hashes => 'x' x 8) ],
	[ 'a length that overflows', Wire::compare('PG_VERSION', length => ~0, hashes => 'x' x 16) ],
	[ 'page hashes between pages', Wire::page_hashes('PG_VERSION', offset => 5) ],
	[ 'page hashes of too much', Wire::page_hashes('PG_VERSION', length => 1 << 30) ],
	[ 'a list on a stream', Wire::plain('list') ],
	[ 'Begin on a stream', Wire::begin() ],
	[ 'a path longer than it is', substr(Wire::read('PG_VERSION'), 0, -3) ])
{
	like($read_as->($_->[1]), qr/^FATAL 08P01 /, "a stream refuses $_->[0]");
}
like($read_as->(Wire::read('PG_VERSION', length => 0)), qr/it was read/, 'nothing is read when nothing is asked for');
like($read_as->(Wire::read('PG_VERSION', offset => 1 << 40)), qr/it was read/, 'beyond its end a file has nothing');

# --- open files: many files through one stream, there and not there ---------------------------

my $stream = Wire->stream($primary, $control);
$stream->frame('welcome');
my $files = sub { return scalar(() = glob '/proc/' . $stream->pid . '/fd/*') };
$stream->request(Wire::read('PG_VERSION'));
$stream->frame('range_end');
my $open = $files->();
my @paths = map { s{^\Q$data\E/}{}r } grep { -f && !/pg_internal|pgsql_tmp|\.tmp$/ } glob "$data/base/5/* $data/global/1*";
for my $path (@paths, map { "base/5/9999$_" } 1 .. 200)
{
	$stream->request(Wire::read($path));
	defined $stream->frame('range_end') or die "$path: $stream->{error}";
	$beat->();
}
cmp_ok(scalar @paths, '>', 100, 'many files were read');
cmp_ok($files->(), '<=', $open + 1, 'a stream keeps no file open but the one it reads');
# An older stream of the same number ends when another comes.
my $second = Wire->stream($primary, $control);
$second->frame('welcome');
like($stream->error, qr/^FATAL 57P01 |^$/, 'a stream that is replaced ends');
$second->close;

# --- bytes at random, always the same ones ---------------------------------------------------

srand 20260101;
my $survived = 0;
for my $round (1 .. 60)
{
	my $noise = join '', map { chr int rand 256 } 1 .. 1 + int rand 300;
	my $wire = $round % 3 ? Wire->connect($primary)->call : Wire->stream($primary, $control);
	$wire->request($wire->hello) if $round % 3 == 1;
	$round % 2 ? $wire->request($noise) : $wire->write($noise);
	$wire->close;
	$beat->() if $round % 10 == 0;
	$survived++;
}
is($survived, 60, 'noise');

# --- the end of a clone, twice and in the wrong order ------------------------------------------

$control->wait_for_copying;
$control->request(Wire::heartbeat(phase => 0));
$control->request(Wire::plain('end'));
$control->request(Wire::plain('end'));
ok(defined $control->frame('label'), 'the label comes');
$control->request(Wire::outcome(5, "\xff\xfe"));
like($control->error, qr/ 22021 /, 'an error text in no encoding is refused');
# Nobody holds the clone now: its lease ends it.
is_clean_on($primary, 'a clone left alone');

# The reason gets through although the socket was full until just now.
$primary->safe_psql('postgres', 'CREATE TABLE large AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 10000) n; CHECKPOINT');
my $large = $primary->safe_psql('postgres', "SELECT pg_relation_filepath('large')");
my $full = Wire->begun($primary, target => 'full');
my @without;
for my $round (1 .. 5)
{
	$full->request(Wire::heartbeat());
	my $wire = Wire->stream($primary, $full);
	$wire->frame('welcome') // die $wire->{error};
	$wire->request(Wire::read($large, tag => $_, offset => $_ * 1048576, length => 1048576)) for 0 .. 7;
	$wire->request(Wire::read('../secret'));
	wait_until('the socket is full', sub {
		$primary->safe_psql('postgres', "SELECT count(*) FROM clone_streams WHERE pid = @{[$wire->pid]} AND waiting_for = 'network'") eq '1' });
	my $error = $wire->error;
	push @without, "$round: $error" if $error !~ /secret/;
}
is("@without", '', 'the reason of a refusal arrives where the socket was full');
$full->close;

$control = Wire->begun($primary, target => 'replayed');
my $token = $control->{token};
$control->request(Wire::outcome(6, 'enough'));
$control->request(Wire::outcome(4));
$control->error;
is_clean_on($primary, 'a clone given up');
my $replayed = Wire->connect($primary)->call;
$replayed->request($replayed->hello(token => $token, role => 1));
like($replayed->error, $unknown, 'its token is worth nothing afterwards');

# --- what is left --------------------------------------------------------------------------

wait_until('segments are given back', sub { segments() <= $segments }, 20);
is(segments(), $segments, 'no segment of shared memory is left');
is($primary->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server is the same');
my $log = content_of($primary->logfile);
unlike($log, qr/terminated by signal|PANIC|XX000|TRAP:|terminating any other active server processes/, 'no process crashed, nothing internal failed');
unlike($log, qr/reference leak|leaked/, 'nothing was leaked');

# A backup that still ran would force full page images.
my $images = q(SELECT wal_fpi FROM pg_stat_wal);
$primary->append_conf('postgresql.conf', "full_page_writes = off\n");
$primary->reload;
$primary->safe_psql('postgres', 'CHECKPOINT');
my $before = $primary->safe_psql('postgres', $images);
$primary->safe_psql('postgres', q(UPDATE plain SET text = 'x' WHERE id = 1; SELECT pg_stat_force_next_flush()));
is($primary->safe_psql('postgres', $images), $before, 'no backup is left running');
$primary->append_conf('postgresql.conf', "full_page_writes = on\n");
$primary->reload;
$primary->safe_psql('postgres', 'CHECKPOINT');

my $standby = new_place();
exit_is(run_clone($primary, $standby, '-N', '-T', "$space=" . scratch('space2')), 'completed', 'afterwards');
prove_standby($primary, $standby, 'afterwards', amcheck => 0);

done_testing();
