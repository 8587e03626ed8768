package Bench::Cells;

# The surroundings in which bench/run measures: each a name, and how a command is run there.
#
#   my $cells = Bench::Cells->new($directory);     # for what is built
#   for my $cell ($cells->all) {
#       my $leave = $cells->enter($cell);          # a sub that ends it; dies with the reason if it cannot be had
#       system $cells->prefix($cell) . 'command';
#       $leave->();
#   }
use strict;
use warnings;

use Config;
use File::Basename qw(dirname);
use POSIX ();

my $here = dirname(dirname(dirname(__FILE__)));

sub new { my ($class, $dir) = @_; bless { dir => $dir }, $class }

sub all { ('as it is', 'one processor', 'dear system calls', 'busy neighbours', 'slow storage', 'tool') }

sub helper {
    my ($self) = @_;
    return $self->{helper} //= do {
        my $program = "$self->{dir}/helper";
        system("$Config{cc} -O2 -pthread -o '$program' '$here/helper.c'") == 0 or die "helper.c does not compile\n";
        $program;
    };
}

sub prefix {
    my ($self, $cell) = @_;
    return 'taskset -c ' . (processors())[0] . ' ' if $cell eq 'one processor';
    return "'" . $self->helper . "' dear 4000 " if $cell eq 'dear system calls';
    return '';
}

sub enter {
    my ($self, $cell) = @_;
    my $prefix = $self->prefix($cell);
    $prefix eq '' || system("${prefix}true") == 0 or die "it cannot be had\n";
    my @pids = $cell eq 'busy neighbours' ? map busy(), processors() : ();
    return sub { kill KILL => $_ and waitpid $_, 0 for splice @pids };
}

# Computes as long as this process lives.
sub busy {
    my $parent = $$;
    defined(my $pid = fork) or die "fork: $!\n";
    return $pid if $pid;
    while (getppid == $parent) { my $x = 0; $x += $_ for 1 .. 1_000_000 }
    POSIX::_exit(0);
}

# The numbers of those that this process may use.
sub processors {
    open my $fh, '<', '/proc/self/status' or return 0;
    my ($list) = map /^Cpus_allowed_list:\s*(\S+)/, <$fh>;
    return map { /(\d+)-(\d+)/ ? $1 .. $2 : $_ } split /,/, $list // 0;
}

sub processor_name {
    open my $fh, '<', '/proc/cpuinfo' or return 'unknown';
    my ($name) = map /^(?:model name|Hardware|cpu model)\s*:\s*(.*)/, <$fh>;
    return $name // (POSIX::uname())[4];
}

# What things take there, in nanoseconds: call, clock, hop, threads (until 64 new ones run).
sub costs {
    my ($self, $cell) = @_;
    my $helper = $self->helper;
    my %cost = split ' ', scalar(`@{[ $self->prefix($cell) ]}'$helper' costs`) // '';
    return \%cost;
}

1;
