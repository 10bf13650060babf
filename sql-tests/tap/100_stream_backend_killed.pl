# Streams break in mid-copy, one, several and all at once, by pg_terminate_backend, pg_cancel_backend and
# SIGTERM: the clone goes on in the same session, and what had come is not sent again.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary);
my $place = new_place();

my $streams = 3;
my $run = start_clone($primary, $place, '-N', '-r', '4M', '-j', $streams, '--json');
wait_for_copying($primary, $run);

# Ends `what` of the streams; waits until as many others have come in their places and move.
my $killed = 0;
sub break_streams
{
	my ($function, $what) = @_;
	my %before = map { split /\|/ } split /\n/, $primary->safe_psql('postgres', <<SQL);
SELECT pid, $function(pid) FROM clone_streams $what
SQL
	ok(%before && !grep({ $_ ne 't' } values %before), "$function of " . keys(%before) . ' streams');
	$killed += keys %before;
	my $old = join ',', keys %before;
	return wait_until('all streams are there again, and read', sub {
		die "the clone ended early: " . $run->err if !$run->is_running;
		return $primary->safe_psql('postgres', <<SQL) eq "$streams|t" });
SELECT count(*), bool_and(bytes_done > 0) FROM clone_streams WHERE pid NOT IN ($old)
SQL
}

break_streams('pg_terminate_backend', 'ORDER BY stream LIMIT 1');
break_streams('pg_terminate_backend', 'WHERE stream > 1');
break_streams('pg_terminate_backend', '');
break_streams('pg_cancel_backend', 'WHERE stream = 2');
is($primary->safe_psql('postgres', 'SELECT state, error IS NULL FROM clone_status()'), 'running|t',
	'no broken connection is noted as the failure of the clone');
exit_is($run, 'completed', 'broken streams');
like($run->out, qr/"type":"connection","connection":"stream 1","state":"lost","message":"terminating connection/,
	'JSON tells of the loss, with its cause');
like($run->out, qr/"type":"connection","connection":"stream 3","state":"restored"/, 'and of the end of it');
is($primary->safe_psql('postgres', 'SELECT count(*), max(state) FROM clone_status()'), '1|completed',
	'it was one session');

# At most what was on its way on each: chunks asked for up to the limit, the last one crossing it.
my ($bytes, $wire) = $run->out =~ /"type":"result".*"bytes":(\d+),"bytes_sent":(\d+)/;
cmp_ok($wire, '<', $bytes * 1.02 + $killed * 3 * 1024 * 1024, "$killed times broken: few bytes go twice");
note("$killed streams broken: $bytes bytes, $wire on the wire");
prove_standby($primary, $place, 'broken streams');
$place->stop;

# What is wrong with the data is final, also if the connection breaks with it.
my $file = file_path_of($primary, 'postgres', 'plain');
$primary->stop;
open my $handle, '+<:raw', $file or die "$file: $!";
seek $handle, 8192 * 3 + 4000, 0;
print $handle 'altered';
close $handle;
$primary->start;
clone_fails(run_clone($primary, new_place('bad'), '--name', 'bad', '-N'), 'corrupted', qr/wrong checksums/,
	'an altered page');

done_testing();
