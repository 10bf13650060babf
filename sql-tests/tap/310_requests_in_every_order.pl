# A client that says each request in each stage of a clone, and reads where it may and where it may not: what is out of
# order is refused, and costs the connection alone. After End nothing is listed or read, by nobody.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;
use Wire;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = 20s\ncheckpoint_timeout = 1h\nlog_min_messages = info\n");
$primary->safe_psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION');

my %request = (
	probe => "\x0c" . Wire::text('0123456789abcdef'),
	begin => Wire::begin(target => 'other'),
	list => Wire::plain('list'),
	changes => Wire::changes(0),
	heartbeat => Wire::heartbeat(),
	pause_ack => Wire::plain('pause_ack'),
	end => Wire::plain('end'),
	ack_label => Wire::plain('ack_label'),
	completed => Wire::outcome(4),
	running => Wire::outcome(1),
	read => Wire::read('PG_VERSION'),
	inherit => Wire::plain('inherit'));

# The model: what each stage hears. What takes the clone to another stage is in `moves`.
my %heard = (
	starting => [qw(heartbeat pause_ack inherit)],
	open => [qw(heartbeat pause_ack list changes inherit)],
	ending => [qw(heartbeat pause_ack end)],
	ended => [qw(heartbeat pause_ack end)],
	handing_over => [qw(heartbeat pause_ack ack_label)],
	handed_over => [qw(heartbeat pause_ack ack_label)]);
my %moves = (open => 'end', ended => 'ack_label', handed_over => 'completed');

# What ends the clone there: tried at the end.
my %ends = map { $_ => 'inherit' } qw(ending ended handing_over handed_over);

# What becomes of it, on a connection that has taken the clone over and ends in order where it was heard.
sub answer
{
	my ($control, $request) = @_;
	my $wire = $control->reattach($primary);
	$wire->request($request);
	$wire->send('c', '');
	my $answer = 'the end';
	while (my ($type, $body) = $wire->message)
	{
		$answer = Wire::error_text($body) if $type eq 'E';
		$answer = 'heard' if $type eq 'Z';
		last if $type =~ /[EZ]/;
	}
	$wire->close;
	return $answer;
}

sub try_all
{
	my ($stage, $control) = @_;
	my %is_heard = map { $_ => 1 } @{ $heard{$stage} };
	my @wrong;
	for my $name (sort keys %request)
	{
		next if $name eq ($moves{$stage} // '') || $name eq ($ends{$stage} // '');
		my $answer = answer($control, $request{$name});
		push @wrong, "$name: $answer" if $is_heard{$name} ? $answer ne 'heard' : $answer !~ /^FATAL 08P01 /;
	}
	return is("@wrong", '', "$stage: heard is " . join ' ', @{ $heard{$stage} });
}

# Phases that the helper may not be in yet.
sub phases_are_refused
{
	my ($stage, $control, @phases) = @_;
	my @wrong = grep { answer($control, Wire::heartbeat(phase => $_)) !~ /^FATAL 08P01 / } @phases;
	return is("@wrong", '', "$stage: no phase beyond it is believed");
}

# --- before the backup runs ------------------------------------------------------------

my $wire = Wire->greet($primary);
$wire->frame('welcome');
$wire->request($request{probe});
ok(defined $wire->frame('probe_result'), 'before Begin a probe is answered');
$wire->request($request{list});
ok(defined $wire->frame('list_end'), 'and a list: of no backup, but of what there is');
$wire->close;

$primary->safe_psql('postgres', 'CREATE TABLE dirty AS SELECT n FROM generate_series(1, 100000) n');
my $waiting = Wire->begun($primary, target => 'waiting', fast => 0, wait => 0);
wait_until('it waits for its checkpoint', sub { phase_of($primary) eq 'checkpoint' });
try_all('starting', $waiting);
phases_are_refused('starting', $waiting, 3 .. 9, 255);
like(Wire->stream($primary, $waiting)->error, qr/^FATAL 55000 .*has not started/, 'starting: no stream is let in');
my $given_up = $waiting->reattach($primary);
$given_up->request(Wire::outcome(6, 'enough'));
$given_up->error;
is_clean_on($primary, 'given up');

# --- from the window to the end --------------------------------------------------------

my $control = Wire->begun($primary, target => 'orders', slot => 'orders');
my $id = $primary->safe_psql('postgres', "SELECT id FROM clone_progress WHERE target = 'orders'");
sub pause { return $primary->safe_psql('postgres', ($_[0] ? 'SELECT pause' : 'SELECT resume') . "_standby_clone($id)") }
sub column { return $primary->safe_psql('postgres', "SELECT $_[0] FROM clone_status($id)") }

my @reads = ([ 'Read', Wire::read('PG_VERSION') ], [ 'Read of pg_control', Wire::read('global/pg_control') ],
	[ 'Compare', Wire::compare('PG_VERSION', length => 3) ], [ 'PageHashes', Wire::page_hashes('PG_VERSION') ],
	[ 'NewerPages', Wire::newer_pages('PG_VERSION') ]);
my @streams;
for my $number (1 .. 16)
{
	my $stream = Wire->stream($primary, $control, role => $number);
	$stream->frame('welcome') // die $stream->error;
	push @streams, $stream;
}
$streams[0]->request(Wire::read('PG_VERSION'));
ok(defined $streams[0]->frame('range_end'), 'open: files are read');
try_all('open', $control);
phases_are_refused('open', $control, 4 .. 9, 255);

# A stream that waits in the middle of what it was asked for, by a pause, when End is heard.
my $large = $primary->safe_psql('postgres', "SELECT pg_relation_filepath('dirty')");
pause(1);
$streams[15]->request(Wire::read($large, length => 1048576));
wait_until('a stream waits for the pause to end', sub {
	$primary->safe_psql('postgres', "SELECT count(*) FROM clone_streams WHERE waiting_for = 'pause' AND stream = 16") eq '1' });
is(answer($control, Wire::plain('end')), 'heard', 'End');

sub nothing_is_read
{
	my ($stage) = @_;
	my @wrong;
	for my $read (@reads)
	{
		my $stream = shift @streams;
		$stream->request($read->[1]);
		my $error = $stream->error;
		push @wrong, "$read->[0]: $error" unless $error =~ /^FATAL 08P01 /;
	}
	my $new = Wire->stream($primary, $control)->error;
	push @wrong, "another stream: $new" unless $new =~ /^FATAL 55000 /;
	return is("@wrong", '', "$stage: nothing is read, no stream is let in");
}

# A clone that is paused takes no step: the backup runs on, and yet the window is closed.
try_all('ending', $control);
phases_are_refused('ending', $control, 5 .. 9, 255);
nothing_is_read('ending');
is(column('phase'), 'copying', 'all of that while the backup ran');
like(column('error'), qr/^$/, 'and none of it has failed the clone');
pause(0);
my $late = pop @streams;
like($late->error, qr/^FATAL 08P01 .*Read, but the backup/, 'what was asked for before End and read after it is not sent');

$control = $control->reattach($primary);
$control->request(Wire::plain('end'));
ok(defined $control->frame('label'), 'the label comes');
try_all('ended', $control);
phases_are_refused('ended', $control, 7 .. 9, 255);
nothing_is_read('ended');

pause(1);
is(answer($control, Wire::plain('ack_label')), 'heard', 'AckLabel');
try_all('handing_over', $control);
phases_are_refused('handing_over', $control, 7 .. 9, 255);
pause(0);
wait_until('the slot is there', sub {
	$primary->safe_psql('postgres', "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'orders'") eq '1' });
$control = $control->reattach($primary);
wait_until('it is said', sub { $control->request(Wire::heartbeat()); unpack('x10 C', $control->frame('status')) == 1 });
try_all('handed_over', $control);
nothing_is_read('handed_over');

$control = $control->reattach($primary);
$control->request(Wire::outcome(4));
$control->request(Wire::outcome(5, 'too late'));
wait_until('it is complete', sub { column('state') eq 'completed' });
is(column('error'), '', 'the first outcome counts');
is_clean_on($primary, 'complete', 'orders');

# --- a helper that was started again -----------------------------------------------------

$wire = Wire->greet($primary);
$wire->request($request{inherit});
like($wire->error, qr/^FATAL 08P01 /, 'without a clone there is nothing to inherit');

my $first = Wire->begun($primary, target => 'heir');
my $heir = $first->reattach($primary);
$heir->request($request{inherit});
is(substr($heir->frame('begun'), 0, 16), $first->{token}, 'open: an heir goes on, and is told what it needs');
$id = $primary->safe_psql('postgres', "SELECT id FROM clone_progress WHERE target = 'heir'");
pause(1);
is(answer($heir, Wire::plain('end')), 'heard', 'End, which a pause holds up');
is(column('phase'), 'copying', 'the backup runs');
my $late_heir = $heir->reattach($primary);
$late_heir->request($request{inherit});
like($late_heir->error, qr/the helper was started again/, 'ending: nobody can go on');
wait_until('it is over', sub { column('state') eq 'failed' });
is(column('error'), 'the helper was started again', 'and the clone has failed for that');
my $next = Wire->begun($primary, target => 'heir');
$next->request(Wire::outcome(6, 'enough'));
$next->error;
is_clean_on($primary, 'heirs', 'orders');

unlike(content_of($primary->logfile), qr/terminated by signal|PANIC|XX000|TRAP:/, 'no process crashed');

done_testing();
