# A read of the donor's that does not return: the file is read on another connection. If it does not return there
# either, the third connection that falls silent over it ends the clone, before the donor has no connection left. A read
# that is slow, but not that slow, is waited for.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Faults;
use StandbyClone;

my $disk = Faults->new('donor') or plan skip_all => 'no C compiler here';
my $primary = new_primary(start => 0);
$disk->around(sub { $primary->start });
$primary->safe_psql('postgres', 'CREATE EXTENSION pg_standby_clone');
fill_primary($primary, rows => 3000);
my $relation = $primary->safe_psql('postgres', "SELECT pg_relation_filepath('toasted')");
sub clone
{
	my ($name) = @_;
	my $place = new_place($name);
	return ($place, start_clone($primary, $place, '-N', '-j', '2', '--receive-timeout', '5', '--name', $name));
}
sub complete
{
	my ($place, $run, $what) = @_;
	exit_is($run, 'completed', $what);
	prove_standby($primary, $place, $what, slot => $place->name);
	$place->stop;
	return;
}

$disk->set([ 'pread', $relation, 0, '+2000' ]);
my ($place, $run) = clone('slow');
wait_until('it is read', sub { $disk->count > 0 });
wait_until('it is read and goes on', sub { $disk->count > 1 || !$run->is_running });
$disk->clear;
complete($place, $run, 'slow');
unlike($run->err, qr/lost a connection/, 'slow: no connection was given up');

# The file that is named is the one that was waited for: where the socket is full, it may be the one before.
$disk->set([ 'pread', $relation, 0, '+20000' ]);
($place, $run) = clone('once');
wait_until('it hangs', sub { $disk->count > 0 });
$disk->clear;
complete($place, $run, 'once');
like($run->err, qr/lost a connection to the donor \(stream \d\): nothing came of file "[^"]+" for 5 s/, 'once: it is said');

$disk->set([ 'pread', $relation, 0, '+25000' ]);
($place, $run) = clone('always');
clone_fails($run, 'donor', qr/nothing came of file "[^"]+" on 3 connections one after the other/, 'always');
is(scalar(() = $run->err =~ /error: /g), 1, 'always: one error');
$disk->clear;
is_clean_on($primary, 'always', 'slow', 'once');
is_not_startable($place->data_dir, 'always');
$run = start_clone($primary, $place, '-N', '--name', 'always');
complete($place, $run, 'always, then well again');

done_testing();
