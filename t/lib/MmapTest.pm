package MmapTest;

# A mapped file and a scalar that Perl code is let loose on, for the tests of mmap.

use strict;
use warnings;
use AIOTest;
use Exporter 'import';
use IO::AIO;

our @EXPORT = qw(PAGE R RW SHARED PRIVATE map_path content fresh maps is_mapped attempt as_string);

use constant PAGE => IO::AIO::PAGESIZE;
use constant { R => IO::AIO::PROT_READ, RW => IO::AIO::PROT_READ | IO::AIO::PROT_WRITE, SHARED => IO::AIO::MAP_SHARED, PRIVATE => IO::AIO::MAP_PRIVATE };

my $path = tmpdir . '/mapped';
my $name = do { my ($n) = $path =~ m{([^/]+/[^/]+)$}; $n };

sub map_path { $path }

# A number, words, all octets, a newline at the end.
sub content { my ($size) = @_; substr("12345 some words\n" . join('', map chr, 0 .. 255) x ($size / 256 + 1), 0, $size - 1) . "\n" }

sub fresh {
    my ($size) = @_;
    write_file $path, content($size);
    open my $fh, '+<', $path or die "$path: $!";
    $fh;
}

# Mappings of the file in this process.
sub maps {
    open my $maps, '<', '/proc/self/maps' or return 0;    # t/47-mmap.t and t/49-mmap-perl.t say what they leave out
    scalar grep /\Q$name\E/, <$maps>;
}

# Does a change still reach the file?
sub is_mapped {
    my $was = substr $_[0], 7, 1;
    my $new = $was eq '#' ? '%' : '#';
    substr($_[0], 7, 1) = $new;
    my $ok = substr(read_file($path), 7, 1) eq $new;
    substr($_[0], 7, 1) = $was;
    $ok;
}

# Runs code on a mapped scalar in a child process. Returns what happened, as a hash.
sub attempt {
    my ($code, $size, $prot, $flags) = @_;
    in_child {
        local $SIG{__WARN__} = sub { };
        my $fh = fresh($size);
        my $were = maps();
        my $m;
        IO::AIO::mmap $m, $size, $prot || RW, $flags || SHARED, $fh or die "mmap: $!";
        my ($lived, @got) = (0);
        $lived = eval { @got = $code->($m); 1 } || 0;
        my %h = (lived => $lived, died => "$@", got => join('|', map defined $_ ? $_ : 'undef', @got), defined => defined $m ? 1 : 0, maps => maps() - $were);
        if (defined $m) {
            $h{length}  = length $m;
            $h{content} = "$m";
            $h{mapped}  = $size == length $m && ($prot || RW) == RW && eval { is_mapped($m) } ? 1 : 0;
        }
        eval { IO::AIO::munmap $m };
        $h{left} = maps() - $were;
        $h{file} = read_file($path);
        \%h;
    };
}

# The same code on an ordinary string.
sub as_string {
    my ($code) = @_;
    local $SIG{__WARN__} = sub { };
    eval { $code->($_[1]) };
}

1;
