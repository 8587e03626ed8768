use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the arguments
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Time::HiRes ();
use IO::AIO;

# Times of files with fractions, for stat, aio_stat and statx; statx and its accessors.

my @st    = map "st_$_", qw(atime mtime ctime btime atimensec mtimensec ctimensec btimensec btimesec gen);
my @count = map "stx_$_", qw(mask blksize attributes attributes_mask nlink uid gid mode ino size blocks rdev_major rdev_minor dev_major dev_minor),
    map +("${_}timesec", "${_}timensec"), qw(a b c m);
my @time = map "stx_$_", qw(atime btime ctime mtime);

sub get { IO::AIO->can($_[0])->() }

# Sets times with nanoseconds, which only some systems and file systems keep.
sub nano {
    my ($path) = @_;
    my @t = ('2001-09-09 01:46:40.123456789 UTC', '2009-02-13 23:31:30.987654321 UTC');
    system('touch', '-a', '-d', $t[0], $path) == 0 && system('touch', '-m', '-d', $t[1], $path) == 0 or return;
    my @hires = Time::HiRes::stat($path);
    abs($hires[9] - 1234567890.987654321) < 1e-5;
}

my $dir  = tmpdir;
my $file = write_file "$dir/file", 'hello';
my $has_nano = nano($file) && !without 'ST_TIM';
symlink 'file', "$dir/link" or die "symlink: $!";

# ---- accessors of perl's stat ----------------------------------------------------------------------

sub check_times {
    my ($how, $path, $is_link) = @_;
    my @hires = $is_link ? Time::HiRes::lstat($path) : Time::HiRes::stat($path);
    my @sec   = $is_link ? lstat $path : stat $path;
    @hires = @sec if without 'ST_TIM';
    $how->($path);
    my %time = (atime => 8, mtime => 9, ctime => 10);
    my %got  = map { $_ => get("st_$_") } 'gen', map +($_, "${_}nsec"), qw(atime mtime ctime btime);
    $got{btimesec} = get('st_btimesec');
    my @all  = IO::AIO::st_xtime();
    my @nsec = IO::AIO::st_xtimensec();
    my @wrong;
    for my $name (sort keys %time) {
        my $i = $time{$name};
        push @wrong, "$name $got{$name}, not $hires[$i]" if abs($got{$name} - $hires[$i]) > 1e-6;
        push @wrong, "${name}nsec $got{$name.'nsec'}" if $got{"${name}nsec"} !~ /^\d{1,9}$/ || abs($sec[$i] + 1e-9 * $got{"${name}nsec"} - $hires[$i]) > 1e-6;
    }
    push @wrong, "$_ $got{$_}" for grep $got{$_} !~ /^\d+(?:\.\d+)?$/, qw(btime btimesec btimensec gen);
    push @wrong, "xtime (@all)" if @all < 4 || "@all[0 .. 3]" ne "@got{qw(atime mtime ctime btime)}";
    push @wrong, "xtimensec (@nsec)" if @nsec < 4 || "@nsec[0 .. 3]" ne "@got{qw(atimensec mtimensec ctimensec btimensec)}";
    join ', ', @wrong;
}

is(check_times(sub { stat $_[0] }, $file), '', 'after stat');
is(check_times(sub { lstat $_[0] }, "$dir/link", 1), '', 'after lstat of a link');
is(check_times(sub { -e $_[0] }, $file), '', 'after a filetest');
is(check_times(sub { stat $_[0] }, $_), '', "after stat of $_") for '/', '/dev/null', $dir;
{
    open my $fh, '<', $file or die "$file: $!";
    is(check_times(sub { stat $fh }, $file), '', 'after stat of a handle');
}
each_engine {
    # in the callback, and after it when no other stat came
    for my $t ([aio_stat => \&IO::AIO::aio_stat, $file, 0], [aio_lstat => \&IO::AIO::aio_lstat, "$dir/link", 1]) {
        my ($name, $aio, $path, $is_link) = @$t;
        my $in_callback;
        my ($errno, $status) = run_req {
            my ($cb) = @_;
            $aio->($path, sub {
                my @now = (IO::AIO::st_xtime(), IO::AIO::st_xtimensec());
                $in_callback = "@now";
                $cb->(@_);
            });
        };
        is(check_times(sub { my ($path) = @_; run_req { $aio->($path, $_[0]) } }, $path, $is_link), '', "after $name");
        is($in_callback, join(' ', IO::AIO::st_xtime(), IO::AIO::st_xtimensec()), "in the callback of $name");
    }
    stat $file;
    my @was = IO::AIO::st_xtime();
    run_req { aio_stat "$dir/none", $_[0] };
    is(scalar(my @x = IO::AIO::st_xtime()), scalar @was, 'a failed stat does no harm');
};
SKIP: {
    skip 'no nanoseconds here', 5 unless $has_nano;
    stat $file;
    is(IO::AIO::st_atimensec(), 123456789, 'atime: nanoseconds');
    is(IO::AIO::st_mtimensec(), 987654321, 'mtime: nanoseconds');
    cmp_ok(abs(IO::AIO::st_atime() - 1000000000.123456789), '<', 1e-6, 'atime: seconds with fraction');
    cmp_ok(abs(IO::AIO::st_mtime() - 1234567890.987654321), '<', 1e-6, 'mtime: seconds with fraction');
    is(int IO::AIO::st_mtime(), (stat _)[9], 'whole seconds');
}

# one value in every context, but for the two lists
for my $name (@st) {
    my @list   = get($name);
    my $scalar = get($name);
    is(scalar @list, 1, "$name: one value");
    is($scalar, $list[0], "$name: the same in scalar context");
}

# times before 1970
SKIP: {
    needs(2, 'ST_TIM');
    my $old = write_file "$dir/old", 'x';
    system('touch', '-d', '@-1000.25', $old) == 0 or skip 'no negative times here', 2;
    skip 'no negative times here', 2 unless (stat $old)[9] == -1001;
    stat $old;
    cmp_ok(abs(IO::AIO::st_mtime() - -1000.25), '<', 1e-6, 'a time before 1970');
    is(IO::AIO::st_mtimensec(), 750_000_000, 'its nanoseconds are positive');
}

# ---- statx ---------------------------------------------------------------------------------------

my $all = IO::AIO::STATX_ALL;

SKIP: {
    # before the first call, and after a failed one: all 0
    my ($status, $out) = run_perl 'use IO::AIO; print "@{[map IO::AIO->can($_)->(), @ARGV]}\n"; print IO::AIO::statx("/none/x", 0, 1), " ", $!{ENOENT} ? 1 : $!{ENOSYS} ? 2 : 0; print " @{[map IO::AIO->can($_)->(), @ARGV]}"', @count, @time;
    my $error = without('STATX') ? 2 : refuses_statx ? 0 : 1;
    is($out, join(' ', (0) x (@count + @time)) . "\n-1 $error " . join(' ', (0) x (@count + @time)), 'all values are 0 at first');

    $! = 0;
    skip 'the system refuses statx', 1 if refuses_statx;
    my @got = IO::AIO::statx($file, 0, $all);
    skip 'no statx here', 1 if $!{ENOSYS} && $got[0];
    is("@got", '0', 'statx');
    my %x = map { $_ => get($_) } @count, @time;
    my @st = stat $file;
    is(join(' ', grep $x{$_} !~ /^\d+$/, @count), '', 'integers');
    is("@x{qw(stx_ino stx_mode stx_nlink stx_uid stx_gid stx_size)}", "@st[1 .. 5, 7]", 'the same as stat');
    is("@x{qw(stx_atimesec stx_mtimesec stx_ctimesec stx_blksize stx_blocks)}", "@st[8 .. 12]", 'times and blocks, too');
    is(IO::AIO::makedev($x{stx_dev_major}, $x{stx_dev_minor}), $st[0], 'device');
    is("$x{stx_rdev_major} $x{stx_rdev_minor}", '0 0', 'no special file');
    is("@x{qw(stx_atimensec stx_mtimensec stx_ctimensec)}", join(' ', (IO::AIO::st_xtimensec())[0 .. 2]), 'nanoseconds');
    for my $name (qw(a b c m)) {
        cmp_ok(abs($x{"stx_${name}time"} - ($x{"stx_${name}timesec"} + 1e-9 * $x{"stx_${name}timensec"})), '<', 1e-6, "stx_${name}time has the fraction");
    }
    is($x{stx_mask} & IO::AIO::STATX_BASIC_STATS, IO::AIO::STATX_BASIC_STATS, 'stx_mask says what is there');
    if ($x{stx_mask} & IO::AIO::STATX_BTIME) {
        cmp_ok($x{stx_btimesec}, '>=', $^T - 60, 'the file was made now');
        cmp_ok($x{stx_btimesec}, '<=', time + 60, 'not later');
    }
    for my $name (@count, @time) {
        my @list = get($name);
        is("@list", get($name), "$name: one value in every context");
    }

    # a scalar result as well
    is(scalar(IO::AIO::statx($dir, 0, $all)), 0, 'statx in scalar context');
    is(get('stx_mode'), (stat $dir)[2], 'of a directory');

    # perl's own stat and statx do not disturb each other
    stat '/';
    my @root = stat _;
    IO::AIO::statx($file, 0, $all);
    is_deeply([stat _], \@root, '"_" is not touched by statx');
    stat '/dev/null';
    run_req { aio_stat '/', $_[0] };
    is(get('stx_size'), 5, 'nor are the values of statx by stat');

    # failures keep the last values
    for my $t (
        [missing => "$dir/none", 0, 'ENOENT'], ['below a file' => "$file/x", 0, 'ENOTDIR'], [empty => '', 0, 'ENOENT'], [undef => undef, 0, 'ENOENT'],
        ['unknown flags' => $file, 1 << 30, 'EINVAL'], ['flags that no int holds' => $file, 2**32, 'EINVAL', 'ours'], ['name too long' => 'x' x 256, 0, 'ENAMETOOLONG'],
        [NUL => "$file\0x", 0, 'ENOENT', 'ours'], ['[undef, path]' => [undef, $file], 0, 'ENOENT', 'ours'], [INVALID_WD => IO::AIO::INVALID_WD, 0, 'ENOENT', 'ours'],
    ) {
        my ($name, $path, $flags, $want, $ours) = @$t;
        my $test = sub {
            $! = 0;
            my @got = IO::AIO::statx($path, $flags, $all);
            is(errno_name($!), $want, "statx: $name: $want");
            is("@got", -1, "statx: $name: -1");
            is(get('stx_size'), 5, "statx: $name: the values stay");
        };
        $ours ? &ours($test, 'crash') : $test->();
    }
    open my $fh, '<', $file or die "$file: $!";
    for my $t ([handle => $fh], [hash => {}], ['empty array' => []], ['array of strings' => ['/', 'x']], ['wide name' => "\x{100}"]) {
        my ($name, $path) = @$t;
        croaks { IO::AIO::statx($path, 0, $all) } $name eq 'wide name' ? qr/./ : 'statx', "statx: $name";
    }
    close $fh;

    # flags and masks
    IO::AIO::statx("$dir/link", 0, $all);
    is(get('stx_mode') >> 12, 8, 'links are followed');
    IO::AIO::statx("$dir/link", IO::AIO::AT_SYMLINK_NOFOLLOW, $all);
    is(get('stx_mode') >> 12, 10, 'but not with AT_SYMLINK_NOFOLLOW');
    is(IO::AIO::statx('', IO::AIO::AT_EMPTY_PATH, $all), 0, 'AT_EMPTY_PATH');
    is(get('stx_ino'), (stat '.')[1], 'is the current directory');
    is(IO::AIO::statx($file, IO::AIO::AT_STATX_FORCE_SYNC, IO::AIO::STATX_SIZE), 0, 'AT_STATX_FORCE_SYNC');
    is(IO::AIO::statx($file, $_, $all), 0, "flags $_") for IO::AIO::AT_NO_AUTOMOUNT, IO::AIO::AT_STATX_DONT_SYNC;
    is(IO::AIO::statx($file, 0, 0), 0, 'mask 0');
    is(IO::AIO::statx($file, undef, undef), 0, 'undef for flags and mask');
    is(IO::AIO::statx($file, 0, 0x80000000), 0, 'bits that mean nothing in the mask');
    is(IO::AIO::statx($file, 0, -1), 0, 'all bits');

    # special files, attributes
    IO::AIO::statx('/dev/null', 0, $all);
    is(get('stx_rdev_major') . ' ' . get('stx_rdev_minor'), '1 3', 'a device') if $^O eq 'linux';
    IO::AIO::statx($file, 0, $all);
    if (get('stx_attributes_mask') & IO::AIO::STATX_ATTR_NODUMP) {
        my $was = get('stx_attributes');
        is($was & IO::AIO::STATX_ATTR_NODUMP, 0, 'attributes');
      SKIP: {
            system("chattr +d '$file' 2>/dev/null") == 0 or skip 'no chattr here', 1;
            IO::AIO::statx($file, 0, $all);
            ok(get('stx_attributes') & IO::AIO::STATX_ATTR_NODUMP, 'STATX_ATTR_NODUMP');
        }
    }

    # working directories
    my $wd = (run_req { aio_wd $dir, $_[0] })[1];
    is(IO::AIO::statx([$wd, 'file'], 0, $all), 0, '[wd, name]');
    is(get('stx_size'), 5, 'has the values');
    is(IO::AIO::statx($wd, 0, $all), 0, 'wd alone');
    is(get('stx_ino'), (stat $dir)[1], 'is the directory');
    is(IO::AIO::statx([$wd, '/'], 0, $all), 0, '[wd, absolute]');
    is(get('stx_ino'), (stat '/')[1], 'ignores the wd');
    is(IO::AIO::statx(IO::AIO::CWD, 0, $all), 0, 'CWD');
    is(get('stx_ino'), (stat '.')[1], 'is the current directory');
    is(IO::AIO::statx([$wd, 'none'], 0, $all), -1, '[wd, missing]');
    undef $wd;
    IO::AIO::flush;
}

done;
