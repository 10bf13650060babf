# Requests from SQL: queued in a transaction, taken once, by their own target, and none twice. The
# agent's side is played by psql here.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
sub value { return $primary->safe_psql('postgres', $_[0]) }
is(value("SELECT request_standby_clone('s1', '{\"jobs\": 2}')"), '1', 'a request has a number');
is(value("SELECT id, target, state, phase, started_at IS NULL, requested_at IS NOT NULL FROM clone_status()"),
	'1|s1|queued|queued|t|t', 'it is queued');
is(value("SELECT * FROM pg_standby_clone_agent_next('s1')"), '1|{"jobs": 2}', 'it is next');
done_testing();
