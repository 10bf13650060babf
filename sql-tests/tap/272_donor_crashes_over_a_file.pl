# A donor whose process crashes each time over the same file, and takes the server with it: the second time the
# clone ends, and names the file.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(conf => "restart_after_crash = on\n");
fill_primary($primary, rows => 100);
$primary->safe_psql('postgres', <<'SQL');
CREATE TABLE large (id integer, text text);
INSERT INTO large SELECT n, repeat(md5(n::text), 6) FROM generate_series(1, 100000) n;
CHECKPOINT;
SQL
my $file = $primary->safe_psql('postgres', q(SELECT pg_relation_filepath('large')));

# The server may be down, or the session of before be there yet.
sub crash
{
	my ($run, $before, $what) = @_;
	my $session = wait_until("$what: the file is read", sub {
		die 'the clone ended early: ' . $run->err if !$run->is_running;
		my ($code, $out) = $primary->psql('postgres',
			"SELECT s.id, s.pid FROM clone_streams s JOIN clone_progress p USING (id) WHERE s.file = '$file' AND s.id > $before");
		return $code == 0 && $out =~ /^\d+\|\d+$/ ? $out : '' }) or return $before;
	my ($id, $pid) = split /\|/, $session;
	kill 'KILL', $pid;
	return $id;
}

my $place = new_place();
my $run = start_clone($primary, $place, '-N', '-j', '1', '-r', '2M');
my $id = crash($run, 0, 'first');
crash($run, $id, 'second');
clone_fails($run, 'lost', qr/the donor crashed twice while it read file "\Q$file\E"/, 'twice over one file');
is(scalar(() = $run->err =~ /going on with another session/g), 1, 'one session more was tried');
is_not_startable($place->data_dir, 'twice over one file');

done_testing();
