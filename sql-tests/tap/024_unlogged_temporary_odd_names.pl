# Unlogged relations come without their content, temporary ones not at all; names with spaces,
# quotes and letters of the world stay as they are, in the manifest too (traps 25 to 32).
use strict;
use warnings;
use utf8;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use StandbyClone;

my $primary = new_primary();
fill_primary($primary, rows => 1000);
$primary->safe_psql('postgres', <<'SQL');
CREATE UNLOGGED TABLE fleeting (id serial PRIMARY KEY, text text);
INSERT INTO fleeting (text) SELECT repeat('x', 100) FROM generate_series(1, 10000);
CREATE TABLE "Ein ""Name"", größer als '1'" AS SELECT n FROM generate_series(1, 100) n;
CREATE DATABASE "große ""Bank""";
SQL
my $session = $primary->background_psql('postgres');
$session->query_safe('CREATE TEMPORARY TABLE short_lived AS SELECT n, md5(n::text) FROM generate_series(1, 10000) n');
my $temporary = $session->query_safe("SELECT pg_relation_filepath('short_lived')");
my $unlogged = $primary->safe_psql('postgres', "SELECT pg_relation_filepath('fleeting')");
my $data = $primary->data_dir;
ok(-s "$data/$temporary", 'the temporary table has a file');

# What a data directory may hold beside relations.
my @plain = ('with space.txt', 'größe.txt', "quote'\".txt", 'empty.txt',
	'deep/er/and deeper/file', "not\xFFutf8");
mkdir "$data/$_" for ('log', 'deep', 'deep/er', 'deep/er/and deeper', 'empty directory');
for my $name (@plain)
{
	my $bytes = $name;
	utf8::encode($bytes) unless $name =~ /\xFF/;
	open my $file, '>:raw', "$data/$bytes" or die "$bytes: $!";
	print $file "content of $bytes\n" unless $name eq 'empty.txt';
	close $file;
}
mkdir "$data/pgsql_tmp_leftover";
my @left_out = ('base/pgsql_tmp/pgsql_tmp1.1', 'pg_stat_tmp/global.stat', 'pg_replslot/old/state',
	'pg_snapshots/0001', 'pg_subtrans/FFFF', 'backup_label.old.tmp', 'pg_notify/FFFF', 'current_logfiles.tmp', 'log/server.log');
for my $name (@left_out)
{
	my ($directory) = "$data/$name" =~ m{^(.*)/};
	mkdir $directory;
	append_to_file("$data/$name", "not wanted\n") unless $name =~ /backup_label|replslot/;
}
rmdir "$data/pg_replslot/old";
symlink '/etc/hostname', "$data/linked.conf";

my $standby = new_place();
my $run = run_clone($primary, $standby, '-N');
exit_is($run, 'completed', 'odd files');
my $clone = $standby->data_dir;
for my $name (@plain)
{
	my $bytes = $name;
	utf8::encode($bytes) unless $name =~ /\xFF/;
	is(content_of("$clone/$bytes"), $name eq 'empty.txt' ? '' : "content of $bytes\n", "there: " . quotemeta $bytes);
	ok(-e "$clone/$bytes", 'exists: ' . quotemeta $bytes);
}
ok(-d "$clone/empty directory", 'an empty directory is there');
for my $name (grep { -e "$data/$_" } @left_out)
{
	ok(!-e "$clone/$name", "left out: $name");
}
ok(-d "$clone/$_", "there, empty: $_") for qw(pg_stat_tmp pg_replslot pg_dynshmem pg_notify pg_serial
  pg_snapshots pg_subtrans pg_wal pg_wal/archive_status log);
ok(!-e "$clone/$_", "left out: $_") for qw(postmaster.pid postmaster.opts), $temporary;
ok(!-e "$clone/$unlogged", 'the unlogged table is not copied');
ok(-e "$clone/${unlogged}_init", 'its init fork is');
ok(!-e "$clone/linked.conf", 'a link is not followed');
like($run->err, qr/warning: .*linked\.conf/, 'a warning names the link');

prove_standby($primary, $standby, 'odd files', amcheck => 0);
$session->quit;
$standby->promote;
is($standby->safe_psql('postgres', 'SELECT count(*) FROM fleeting'), '0',
	'after promotion the unlogged table is empty');
is($standby->safe_psql('postgres', q(SELECT count(*) FROM "Ein ""Name"", größer als '1'")), '100',
	'the odd table has its rows');

done_testing();
