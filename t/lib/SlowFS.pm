package SlowFS;

# A directory seen through a FUSE file system that is slow, hangs or fails as it is told, and counts what each thread
# asks it for: libeio/test/slowfs.c, which says what the commands do. It needs root, /dev/fuse and libfuse3 with its
# headers. It depends on nothing else of the tests, so benchmarks can have it, too:
#
#   use FindBin; use lib "$FindBin::Bin/../t/lib"; use SlowFS;
#
#   if (my $why = SlowFS->missing) { ... }      # why there can be none, or nothing
#   my $fs = SlowFS->mount($directory, cache => 3600);
#   $fs->delay(300);                             # milliseconds, 0.5 as well, for each request
#   $fs->delay(0.3 * 1000, qw(lookup read));     # these only
#   ... stat $fs->path . '/file' ...
#   $fs->unmount;                                # as when the object goes, or the process dies
#
# mount() takes a directory to show (undef: an empty one of its own) and options: direct (no page cache), no_types (directories
# do not tell types), cache (seconds that the kernel may remember names and attributes, 0 if not given; above 0 it
# keeps data, too). `at` is a mount point to use; else there is a temporary one.
#
# A thread is what gettid(2) says, for perl the process's number, unless it has made more. 0 is the kernel itself. Requests
# are called as FUSE calls them: lookup getattr setattr readlink symlink mknod mkdir unlink rmdir rename link open read
# write statfs release fsync setxattr getxattr listxattr removexattr flush opendir readdir releasedir fsyncdir access
# create ioctl fallocate rename2 lseek copy_file_range syncfs statx...

use strict;
use warnings;

use Carp ();
use Cwd ();
use Errno ();
use File::Basename ();
use File::Temp ();
use POSIX ();
use Socket;

my $top = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');
my $program = "$top/libeio/build/test/slowfs";
my ($tried, $missing);

# The reason why there is no such file system here, or nothing.
sub missing {
    return $missing if $tried++;
    $missing = _missing();
}

sub _missing {
    return 'needs Linux' if $^O ne 'linux';
    return 'needs root to mount' if $>;
    return 'no /dev/fuse' unless -c '/dev/fuse' && open my $fuse, '+<', '/dev/fuse';
    return 'libfuse3 and its headers are not installed' if system 'pkg-config --exists fuse3 2>/dev/null';
    my $said = `make -C '$top/libeio' slowfs 2>&1`;
    return "slowfs cannot be built: $said" if $?;
    my $fs = eval { SlowFS->mount } or return "cannot mount: $@";
    $fs->unmount;
    return;
}

sub mount {
    my ($class, $source, %opt) = @_;
    $source = File::Temp::tempdir('slowfs-XXXXXX', TMPDIR => 1, CLEANUP => 1) unless defined $source;
    my $at = $opt{at};
    $at = File::Temp::tempdir('slowfs-XXXXXX', TMPDIR => 1) unless defined $at;
    my $self = bless { source => $source, path => $at, owner => $$ }, $class;
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, 0 or die "socketpair: $!";
    my @command = ($program, ($opt{direct} ? '--direct' : ()), ($opt{no_types} ? '--no-types' : ()),
        (defined $opt{at} ? () : '--remove'), '--cache', $opt{cache} || 0, $source, $at);
    defined(my $pid = fork) or die "fork: $!";
    unless ($pid) {
        open STDIN, '<&', $theirs or die "dup: $!";
        close $ours;
        { no warnings 'exec'; exec { $command[0] } @command }
        POSIX::_exit(1);
    }
    close $theirs;    # or nobody would see it end without an answer
    $self->{pid} = $pid;
    $self->{socket} = $ours;
    $self->_answer('mount');
    return $self;
}

sub path   { $_[0]{path} }      # where it is mounted
sub source { $_[0]{source} }    # what it shows

# From now on requests (no names: all but flush) are answered so much later, do not succeed (an errno's name or number, 0: they do
# again), or wait for release.
sub delay { my ($self, $ms, @ops) = @_; $self->_tell('delay', sprintf('%.3f', $ms), @ops); }
sub fail  { my ($self, $error, @ops) = @_; $self->_tell('fail', $error =~ /^\d+$/ ? $error : Errno->can($error)->(), @ops); }
sub hang  { my ($self, @ops) = @_; $self->_tell('hang', @ops); }
sub release { $_[0]->_tell('release') }

# How many requests wait for release; and waits until there are so many.
sub held { $_[0]->_tell('held') }

sub wait_held {
    my ($self, $n) = @_;
    for (1 .. 20_000) {
        return 1 if $self->held >= $n;
        select undef, undef, undef, 0.001;
    }
    return 0;
}

# { thread => { request => how often } } since the beginning, or since reset.
sub counts {
    my %count;
    for (split ' ', $_[0]->_tell('counts')) {
        my ($thread, $op, $n) = /^(\d+):(\w+)=(\d+)$/ or die "counts: $_";
        $count{$thread}{$op} += $n;
    }
    return \%count;
}
sub reset { $_[0]->_tell('reset') }

# What a thread asked for, as text: "getattr 2 lookup 1"; without a thread, what all did.
sub asked {
    my ($self, $thread) = @_;
    my ($count, %sum) = $self->counts;
    for my $t (defined $thread ? $thread : keys %$count) {
        $sum{$_} += $count->{$t}{$_} for keys %{ $count->{$t} || {} };
    }
    return join ' ', map "$_ $sum{$_}", sort keys %sum;
}

# Nothing waits any more, and what is open there is of no use.
sub unmount {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    local ($?, $!);
    shutdown $self->{socket}, 2;    # a child may have it, too
    waitpid delete $self->{pid}, 0;
    return;
}

sub DESTROY { $_[0]->unmount }

sub _tell {
    my ($self, @words) = @_;
    my $line = "@words\n";
    Carp::croak('the file system is unmounted') unless $self->{pid};
    (syswrite $self->{socket}, $line) // Carp::croak("$words[0]: $!");
    return $self->_answer($words[0]);
}

# The socket belongs to this alone, and each line is answered by one: nothing is left over.
sub _answer {
    my ($self, $what) = @_;
    my $line = readline $self->{socket};
    unless (defined $line) {
        $self->unmount;
        Carp::croak("$what: slowfs has ended");
    }
    $line =~ s/^ok ?// or Carp::croak("$what: $line");
    chomp $line;
    return $line;
}

1;
