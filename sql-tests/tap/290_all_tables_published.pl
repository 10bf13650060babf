# Hazard: publications FOR ALL TABLES, of a schema, and (19) FOR ALL SEQUENCES. A subscriber lacks what is ours, and
# one relation that it lacks stops it for all of them. Yet requests and history are as durable as rows of a
# table: transactional, kept by a crash, seen on a standby and after its promotion.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary(no_extension => 1, conf => "wal_level = logical\n");
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->start;
sub value { return $primary->safe_psql('postgres', $_[0]) }

my $has_sequences = major_of($primary) >= 19;
my $publications = 'every, of_schema' . ($has_sequences ? ', sequences' : '');
value('CREATE TABLE mine (id integer PRIMARY KEY); CREATE PUBLICATION every FOR ALL TABLES;
	CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA public');
value('CREATE PUBLICATION sequences FOR ALL SEQUENCES') if $has_sequences;
$subscriber->safe_psql('postgres', 'CREATE TABLE mine (id integer PRIMARY KEY)');
my $to_primary = $primary->connstr . ' dbname=postgres';
sub subscribe { $subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION $_[0] CONNECTION '$to_primary' PUBLICATION $publications") }
my $next = 1;
sub arrives
{
	my ($when) = @_;
	value("INSERT INTO mine VALUES ($next)");
	ok(wait_until("row $next", sub { $subscriber->safe_psql('postgres', "SELECT count(*) FROM mine WHERE id = $next") eq '1' }),
		"$when: rows arrive");
	$next++;
}
subscribe('before');
arrives('before the extension');
value('CREATE EXTENSION pg_standby_clone');

# Everything that writes what is kept: a request that is rolled back, one that is taken back, one that waits,
# and a clone; then what a subscriber asks for.
value("SET client_min_messages = error; BEGIN; SELECT request_standby_clone('s1'); ROLLBACK");
my $back = value("SET client_min_messages = error; SELECT request_standby_clone('s1')");
value("SELECT cancel_standby_clone($back)");
my $waits = value("SET client_min_messages = error; SELECT request_standby_clone('s2')");
my $standby = new_place();
exit_is(run_clone($primary, $standby, '-N'), 'completed', 'a clone');
is(value("SELECT string_agg(id || state, ' ' ORDER BY id) FROM clone_list"), "${back}cancelled ${waits}queued 3completed",
	'all is kept');
arrives('after requests and a clone');
is(value('SELECT DISTINCT tablename FROM pg_publication_tables'), 'mine', 'nothing of ours is published');
is(value('SELECT count(*) FROM pg_publication_sequences'), '0', 'nor a sequence') if $has_sequences;
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION before REFRESH PUBLICATION');
arrives('after a refresh');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION before; TRUNCATE mine');
subscribe('after');
arrives('a subscription that begins now');
unlike(content_of($subscriber->logfile), qr/ERROR/, 'the subscriber had no error');

# A crash; the rows on a standby; the heir after it.
prove_standby($primary, $standby, 'the standby', slot => 'clone');
$primary->stop('immediate');
$primary->start;
is(value("SELECT state FROM clone_status($waits)"), 'queued', 'a crash: the request waits');
arrives('after a crash');
catch_up($primary, $standby);
is($standby->safe_psql('postgres', "SELECT state FROM clone_status($waits)"), 'queued', 'a standby shows it');
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', "SELECT state FROM clone_status($waits)"), 'queued', 'after a failover it waits');
is($standby->safe_psql('postgres', "SET client_min_messages = error; SELECT request_standby_clone('s3')"), '4',
	'after a failover no number is given twice');
$subscriber->stop;
done_testing();
