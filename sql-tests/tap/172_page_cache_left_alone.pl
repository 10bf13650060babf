# Hazard: a clone that fills the donor's page cache with what nobody there asked for. What it reads from the
# disk goes again; what was in the cache before stays.
use strict;
use warnings;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

# Bytes of the file that are in the page cache; nothing where neither the kernel (cachestat, from 6.5 on) nor
# fincore, which not every system has, can say.
sub cached
{
	my ($path) = @_;
	open my $file, '<', $path or die "open $path: $!";
	my ($whole, $counts) = (pack('QQ', 0, 0), "\0" x 40);
	my $cachestat = 451;    # on every architecture
	return unpack('Q', $counts) * POSIX::sysconf(POSIX::_SC_PAGESIZE())
	  if syscall($cachestat, fileno($file), $whole, $counts, 0) == 0;
	my $bytes = `fincore --bytes --noheadings --output RES '$path' 2>/dev/null`;
	return $bytes =~ /(\d+)/ ? $1 : undef;
}

# Out of the cache with it, as far as the kernel lets it go.
sub evict
{
	my ($path) = @_;
	system_or_bail('dd', "of=$path", 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none');
}

plan skip_all => 'nothing here tells what is in the page cache' unless defined cached($0);

my $primary = new_primary;
$primary->safe_psql('postgres', "CREATE TABLE $_ AS "
		. 'SELECT n, repeat(md5(n::text), 30) AS text FROM generate_series(1, 20000) n') for ('cold', 'warm');
$primary->safe_psql('postgres', 'CHECKPOINT');
my %path = map { $_ => $primary->data_dir . '/' . $primary->safe_psql('postgres',
	"SELECT pg_relation_filepath('$_')") } ('cold', 'warm');
my %size = map { $_ => -s $path{$_} } ('cold', 'warm');

evict($path{cold});
plan skip_all => 'this file system keeps everything in the cache' if cached($path{cold}) > $size{cold} / 20;
content_of($path{warm});
is(cached($path{warm}), $size{warm}, 'one table is in the page cache');

my $standby = new_place('standby');
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'clone');
cmp_ok(cached($path{cold}), '<', $size{cold} / 10, 'what was not in the page cache is not there now');
cmp_ok(cached($path{warm}), '>', $size{warm} * 0.9, 'what was there is still there');
prove_standby($primary, $standby, 'the clone');
done_testing();
