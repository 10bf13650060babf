# Requests and cancels at the same time, by the server's own isolation tester: sql-tests/isolation.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $tester = dirname(dirname($ENV{PG_REGRESS})) . '/isolation/pg_isolation_regress';
plan skip_all => "there is no $tester" unless -x $tester;
my $primary = new_primary();
my $input = dirname(dirname(abs_path(__FILE__))) . '/isolation';
my $output = scratch('isolation');
my ($out, $err) = ('', '');
my $passed = IPC::Run::run([ $tester, '--use-existing', '--dbname=postgres', '--host=' . $primary->host,
		'--port=' . $primary->port, "--inputdir=$input", "--outputdir=$output", 'requests' ],
	'>', \$out, '2>', \$err);
ok($passed, 'requests and cancels at the same time')
  or diag($out, $err, content_of("$output/regression.diffs"));
done_testing();
