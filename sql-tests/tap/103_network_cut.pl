# The network between helper and donor is cut, and half-open (connections look alive, nothing passes): the
# clone waits, comes back, goes on. Bytes are counted where they pass.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use StandbyClone;
use StandbyProxy;

my $primary = new_primary();
fill_primary($primary);
my $network = StandbyProxy->new($primary);
my $place = new_place();

sub shows
{
	my ($state, $what, $limit) = @_;
	ok(wait_until($what, sub {
		$primary->safe_psql('postgres', 'SELECT state FROM clone_status() LIMIT 1') =~ /^(?:$state)$/ }, $limit // 10), $what);
}

my $run = start_clone(undef, $place, $network->options, '-N', '-r', '5M', '-j', '3');
wait_for_copying($primary, $run);
$network->cut;
shows('disconnected', 'cut: disconnected');
ok(wait_until('cut: no stream', sub { $primary->safe_psql('postgres', q(SELECT count(*) FROM clone_streams)) eq '0' }, 10),
	'cut: no stream is left');
$network->mend;
shows('running', 'mended: running');

# Nothing passes any more, and nobody says so: both sides notice by themselves.
wait_until('streams move again', sub {
	$primary->safe_psql('postgres', 'SELECT count(*) FROM clone_streams WHERE bytes_done > 0') eq '3' });
my $pids = $primary->safe_psql('postgres', q(SELECT string_agg(pid::text, ',') FROM clone_streams));
$network->swallow;
my $since = time();
shows('disconnected', 'half-open: the donor notices', 25);
cmp_ok(time() - $since, '>', 5, 'half-open: by the silence');
ok(wait_until('the helper notices', sub { $run->err =~ /nothing was heard from the donor for 15 s/ }, 25),
	'half-open: the helper notices');
$network->mend;
# On a busy machine little may be left to copy by then.
shows('running|completed', 'half-open: running again', 30);
exit_is($run, 'completed', 'cut and half-open');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM clone_status()'), '1', 'it was one session');
is($primary->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE pid IN ($pids)"), '0',
	'the backends of swallowed connections were evicted');
my ($bytes) = $run->err =~ /complete: ([\d.]+) MB/;
my $wire = $network->bytes / 1048576;
note("$bytes MB of data, $wire MB through the proxy");
cmp_ok($wire, '<', $bytes * 1.1 + 3 * 2 * 3 + 8, 'few bytes go twice');
prove_standby($primary, $place, 'cut and half-open');

done_testing();
