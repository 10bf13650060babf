# Faults.pm: a disk, a clock and a memory that fail when a test says so, in a program or a server that
# was started with them (faults.c, preloaded).
package Faults;

use strict;
use warnings;

use Errno;
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;

my $page_size = 4096;
my $library;

# Builds the library, once. Returns undef where that cannot be: no C compiler.
sub new
{
	my ($class, $name) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir();
	if (!$library)
	{
		$library = "$directory/faults.so";
		my $source = dirname(__FILE__) . '/faults.c';
		system(split(' ', $ENV{CC} // 'cc'), '-O1', '-shared', '-fPIC', '-o', $library, $source) == 0 or return;
	}
	$name //= 'faults';
	my $self = bless { page => "$directory/$name.page", struck => "$directory/$name.struck" }, $class;
	$self->write_page("\0" x $page_size, 0, '>');
	$self->reset_count;
	return $self;
}

# For whom these faults are: the environment of what is started meanwhile.
sub around
{
	my ($self, $code) = @_;
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{FAULTS} = $self->{page};
	local $ENV{FAULTS_STRUCK} = $self->{struck};
	return $code->();
}

# The rules from now on: [call, part of the path, calls to let pass, what], what being the name of an
# errno, or as faults.c has it.
sub set
{
	my ($self, @rules) = @_;
	$self->clear;
	$self->reset_count;
	my $text = '';
	for my $rule (@rules)
	{
		my ($call, $path, $passes, $what) = @$rule;
		$what = Errno->can($what)->() if $what =~ /^E[A-Z]+$/;
		$text .= join("\t", $call, $path, $passes, $what) . "\n";
	}
	die 'too many rules' if length $text > $page_size - 2;
	$self->write_page("$text\0", 1);
	$self->write_page('!', 0);
	return;
}

sub clear { $_[0]->write_page("\0", 0); return }

# How often a rule has struck since it was set.
sub count { return (-s $_[0]{struck}) || 0 }

sub reset_count
{
	my ($self) = @_;
	open my $file, '>', $self->{struck} or die "$self->{struck}: $!";
	close $file;
	return;
}

sub write_page
{
	my ($self, $bytes, $at, $mode) = @_;
	open my $file, $mode // '+<', $self->{page} or die "$self->{page}: $!";
	sysseek $file, $at, 0;
	syswrite $file, $bytes;
	close $file;
	return;
}

1;
