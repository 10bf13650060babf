# A terminal stopped with Ctrl-S, a pipe that nobody reads and a disk that holds up the main thread cost the clone
# nothing: its lease of 5 s is kept, it completes, and whoever reads at last misses no result.
use strict;
use warnings;
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use POSIX qw(WNOHANG TCOOFF TCOON);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Faults;
use StandbyClone;

my $primary = new_primary(conf => "pg_standby_clone.reconnect_timeout = '5s'\n");
fill_primary($primary, rows => 60000);

# Starts it with these as its output; the test goes on when the donor calls the clone completed.
sub start_into
{
	my ($place, $out, $err, $name, @options) = @_;
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		open STDIN, '<', '/dev/null';
		open STDOUT, '>&', $out;
		open STDERR, '>&', $err;
		exec 'pg_standby_clone', '-D', $place->data_dir, '-h', $primary->host, '-p', $primary->port,
		  '-w', '-N', '--no-slot', '--name', $name, '-Z', 'none', '-r', '3M', @options
		  or POSIX::_exit(127);
	}
	return $pid;
}

sub completes_unheard
{
	my ($pid, $name, $what) = @_;
	my $state = '';
	wait_until("$what: the clone ends", sub {
		$state = $primary->safe_psql('postgres', "SELECT state FROM clone_status() WHERE target = '$name' ORDER BY id DESC LIMIT 1");
		return $state =~ /^(?:completed|failed|cancelled)$/ });
	is($state, 'completed', "$what: the donor sees it complete");
	is($primary->safe_psql('postgres', "SELECT count(*) FROM clone_status() WHERE target = '$name'"), 1, "$what: in one session");
	my $took = $primary->safe_psql('postgres',
		"SELECT extract(epoch FROM finished_at - started_at) > 5.5 FROM clone_status() WHERE target = '$name'");
	is($took, 't', "$what: it lasted longer than its lease");
}

sub ends_well
{
	my ($pid, $what) = @_;
	wait_until("$what: the program ends", sub { waitpid($pid, WNOHANG) == $pid });
	is($? >> 8, 0, "$what: exit code");
}

# Full before the program says anything.
pipe my $reader, my $writer or die "pipe: $!";
fcntl $writer, F_SETFL, fcntl($writer, F_GETFL, 0) | O_NONBLOCK;
1 while syswrite $writer, "\n" x 4096;
fcntl $writer, F_SETFL, fcntl($writer, F_GETFL, 0) & ~O_NONBLOCK;
my $pid = start_into(new_place('piped'), $writer, $writer, 'piped', '--json');
close $writer;
completes_unheard($pid, 'piped', 'a pipe');
is(waitpid($pid, WNOHANG), 0, 'a pipe: the program waits for its reader');
my $said = do { local $/; <$reader> };
like($said, qr/"type":"phase","phase":"copying"/, 'a pipe: phases are told late');
like($said, qr/"type":"result","state":"completed"/, 'a pipe: so is the result');
unlike($said, qr/"type":"progress".*\n.*"type":"progress"/, 'a pipe: old progress is dropped');
ends_well($pid, 'a pipe');

# Who stops the program does not wait for a reader.
pipe $reader, $writer or die "pipe: $!";
fcntl $writer, F_SETFL, fcntl($writer, F_GETFL, 0) | O_NONBLOCK;
1 while syswrite $writer, "\n" x 4096;
fcntl $writer, F_SETFL, fcntl($writer, F_GETFL, 0) & ~O_NONBLOCK;
$pid = start_into(new_place('stopped'), $writer, $writer, 'stopped', '--json');
wait_until('it copies', sub { $primary->safe_psql('postgres',
	q(SELECT count(*) FROM clone_progress WHERE target = 'stopped' AND bytes_done > 0)) > 0 });
kill 'TERM', $pid;
wait_until('a pipe and SIGTERM: the program ends', sub { waitpid($pid, WNOHANG) == $pid });
is($? >> 8, 8, 'a pipe and SIGTERM: exit code');

SKIP:
{
	eval { require IO::Pty; 1 } or skip 'no IO::Pty', 5;
	my $terminal = IO::Pty->new;
	my $slave = $terminal->slave;
	POSIX::tcflow(fileno($slave), TCOOFF) // die "tcflow: $!";
	$pid = start_into(new_place('terminal'), $slave, $slave, 'terminal');
	completes_unheard($pid, 'terminal', 'a terminal');
	POSIX::tcflow(fileno($slave), TCOON);
	my $shown = '';
	wait_until('a terminal: it says what it has to', sub {
		my $bits = '';
		vec($bits, fileno($terminal), 1) = 1;
		sysread $terminal, $shown, 4096, length $shown if select $bits, undef, undef, 0.1;
		return $shown =~ /is complete/ });
	ends_well($pid, 'a terminal');
}

# The last step of all is the main thread's own: it lasts longer than the lease.
SKIP:
{
	my $disk = Faults->new('slow') or skip 'no C compiler', 3;
	my $run = $disk->around(sub { start_clone($primary, new_place('slow'), '--name', 'slow') });
	$disk->set([ 'rename', 'pg_control', 0, '+8000' ]);
	exit_is($run, 'completed', 'a slow disk at the end');
	cmp_ok($disk->count, '>', 0, 'a slow disk at the end: it was');
	is($primary->safe_psql('postgres', q(SELECT string_agg(state, ' ') FROM clone_status() WHERE target = 'slow')),
		'completed', 'a slow disk at the end: the lease is kept');
}

done_testing();
