use strict;
use warnings;
no warnings 'uninitialized';    # undef is among the names
use FindBin;
use lib "$FindBin::Bin/lib";
use AIOTest;
use Test::More;
use Fcntl qw(:DEFAULT :mode);
use IO::AIO;

# The requests that take names: unlink mknod link symlink readlink rename mkdir rmdir, and what a path name
# can be, for these and all others.

{
    package Tied;    # a scalar that counts
    sub TIESCALAR { my ($class, $value) = @_; bless { value => $value, fetched => 0, stored => 0 }, $class }
    sub FETCH { $_[0]{fetched}++; $_[0]{value} }
    sub STORE { $_[0]{stored}++; $_[0]{value} = $_[1] }
}

{
    package Named;       use overload '""' => sub { ${ $_[0] } };
    package Numbered;    use overload '0+' => sub { ${ $_[0] } }, fallback => 1;
    package Compared;    use overload '==' => sub { 0 }, fallback => 1;
}

sub link_text {
    my ($path) = @_;
    my ($errno, @got) = run_req { aio_readlink $path, $_[0] };
    @got ? $got[0] : errno_name($errno);
}

# Each request that takes one path, with whatever else it needs.
my %takes_path = (
    open     => sub { aio_open $_[0], O_RDONLY, 0, $_[1] },
    stat     => sub { aio_stat $_[0], $_[1] },
    lstat    => sub { aio_lstat $_[0], $_[1] },
    utime    => sub { aio_utime $_[0], 1, 1, $_[1] },
    chown    => sub { aio_chown $_[0], undef, undef, $_[1] },
    chmod    => sub { aio_chmod $_[0], 0600, $_[1] },
    truncate => sub { aio_truncate $_[0], 1, $_[1] },
    unlink   => sub { aio_unlink $_[0], $_[1] },
    mknod    => sub { aio_mknod $_[0], S_IFIFO | 0600, 0, $_[1] },
    link     => sub { aio_link $_[0], "$_[0].2", $_[1] },
    link2    => sub { my $old = write_file tmpdir . '/link2'; aio_link $old, $_[0], $_[1] },
    symlink  => sub { aio_symlink 'text', $_[0], $_[1] },
    readlink => sub { aio_readlink $_[0], $_[1] },
    rename   => sub { aio_rename $_[0], "$_[0].2", $_[1] },
    rename2  => sub { my $old = write_file tmpdir . '/rename2'; aio_rename $old, $_[0], $_[1] },
    mkdir    => sub { aio_mkdir $_[0], 0755, $_[1] },
    rmdir    => sub { aio_rmdir $_[0], $_[1] },
    readdir  => sub { aio_readdir $_[0], $_[1] },
    load     => sub { my $data; aio_load $_[0], $data, $_[1] },
    copy     => sub { aio_copy $_[0], tmpdir . '/copy', $_[1] },
    copy2    => sub { my $old = write_file tmpdir . '/copy2', 'x'; aio_copy $old, $_[0], $_[1] },
    move     => sub { aio_move $_[0], "$_[0].2", $_[1] },
    scandir  => sub { aio_scandir $_[0], 0, $_[1] },
    rmtree   => sub { aio_rmtree $_[0], $_[1] },
    pathsync => sub { aio_pathsync $_[0], $_[1] },
);

each_engine {
    my $dir  = fresh_dir;
    my $file = write_file "$dir/file", 'data';
    mkdir "$dir/sub", 0755 or die "mkdir: $!";

    # mknod
    my $umask = umask 022;
    succeeds { aio_mknod "$dir/fifo", IO::AIO::S_IFIFO | 0666, 0, $_[0] } 'mknod of a FIFO';
    ok(-p "$dir/fifo", 'makes one');
    is(mode_of("$dir/fifo"), 0644, 'with mode and umask');
    succeeds { aio_mknod "$dir/empty", S_IFREG | 0600, 0, $_[0] } 'mknod of a file';
    ok(-f "$dir/empty" && -z _, 'makes one');
  SKIP: {
        skip 'only root makes devices', 2 if $>;
        my ($errno, $got) = run_req { aio_mknod "$dir/null", S_IFCHR | 0600, 1 << 8 | 3, $_[0] };
        skip 'no devices in this sandbox', 2 if $got && errno_name($errno) eq 'EPERM';
        is($got, 0, 'mknod of a device');
        is((stat "$dir/null")[6], (stat '/dev/null')[6], 'with its number');
    }
    fails_with { aio_mknod $file, S_IFIFO | 0600, 0, $_[0] } 'EEXIST', 'mknod over a file: EEXIST';

    # mkdir
    succeeds { aio_mkdir "$dir/made", 0777, $_[0] } 'mkdir';
    is(mode_of("$dir/made"), 0755, 'with mode and umask');
    umask 077;
    run_req { aio_mkdir "$dir/made2", 0777, $_[0] };
    is(mode_of("$dir/made2"), 0700, 'the umask is that of the execution');
    umask $umask;
    succeeds { aio_mkdir "$dir/made/sub/", 0755, $_[0] } 'mkdir with a trailing slash';
    fails_with { aio_mkdir "$dir/made", 0755, $_[0] } 'EEXIST', 'mkdir again: EEXIST';
    fails_with { aio_mkdir $file, 0755, $_[0] } 'EEXIST', 'mkdir over a file: EEXIST';
    fails_with { aio_mkdir "$dir/none/x", 0755, $_[0] } 'ENOENT', 'mkdir in a missing directory: ENOENT';

    # rmdir
    fails_with { aio_rmdir "$dir/made", $_[0] } 'ENOTEMPTY EEXIST', 'rmdir of a full directory: ENOTEMPTY';
    succeeds { aio_rmdir "$dir/made/sub/", $_[0] } 'rmdir with a trailing slash';
    succeeds { aio_rmdir "$dir/made", $_[0] } 'rmdir';
    ok(!-e "$dir/made", 'removes it');
    fails_with { aio_rmdir $file, $_[0] } 'ENOTDIR', 'rmdir of a file: ENOTDIR';
    fails_with { aio_rmdir "$dir/sub/.", $_[0] } 'EINVAL', 'rmdir of ".": EINVAL';

    # unlink
    my $path = write_file "$dir/gone";
    succeeds { aio_unlink $path, $_[0] } 'unlink';
    ok(!-e $path, 'removes it');
    fails_with { aio_unlink "$dir/sub", $_[0] } 'EISDIR EPERM', 'unlink of a directory: EISDIR';
    fails_with { aio_unlink "$file/", $_[0] } 'ENOTDIR', 'unlink of a file and "/": ENOTDIR';

    # link
    succeeds { aio_link $file, "$dir/hard", $_[0] } 'link';
    is((stat "$dir/hard")[1], (stat $file)[1], 'is the same file');
    fails_with { aio_link $file, "$dir/hard", $_[0] } 'EEXIST', 'link over a file: EEXIST';
    fails_with { aio_link $file, "$dir/none/x", $_[0] } 'ENOENT', 'link in a missing directory: ENOENT';
    fails_with { aio_link "$dir/none", "$dir/x", $_[0] } 'ENOENT', 'link of a missing file: ENOENT';
    fails_with { aio_link "$dir/sub", "$dir/x", $_[0] } 'EPERM', 'link of a directory: EPERM';
  SKIP: {
        skip 'no second file system', 1 unless -w '/dev/shm' && (stat '/dev/shm')[0] != (stat $dir)[0];
        fails_with { aio_link $file, "/dev/shm/aiotest-$$", $_[0] } 'EXDEV', 'link to another file system: EXDEV';
    }

    # symlink and readlink
    my ($longest) = grep symlink('x' x $_, "$dir/soft$_"), 4095, 1023, 255; # ext4, XFS, others
    for my $text ('file', '/', 'no such file', "new\nline", 'x' x $longest) {
        my $name = length $text > 20 ? "a text of $longest" : $text =~ s/\n/ and newline and /r;
        unlink "$dir/soft";
        succeeds { aio_symlink $text, "$dir/soft", $_[0] } "symlink: $name";
        is(readlink "$dir/soft", $text, 'has the text');
        is(link_text("$dir/soft"), $text, 'readlink gives it');
    }
    aio_link "$dir/soft", "$dir/soft2";
    IO::AIO::flush;
    ok(-l "$dir/soft2", 'link of a symbolic link links it, not its target');
    fails_with { aio_symlink 'x', "$dir/soft", $_[0] } 'EEXIST', 'symlink over a link: EEXIST';
    fails_with { aio_symlink '', "$dir/x", $_[0] } 'ENOENT', 'symlink with an empty text: ENOENT';
    fails_with { aio_symlink 'x' x 5000, "$dir/x", $_[0] } 'ENAMETOOLONG', 'with a long one: ENAMETOOLONG';
    ours {
        fails_with { aio_symlink "a\0b", "$dir/nul", $_[0] } 'ENOENT', 'with a NUL: ENOENT';
        ok(!-l "$dir/nul", 'nothing is made');
    } 'cuts it';
    croaks { aio_symlink "\x{263a}", "$dir/x", sub { } } 'aio_symlink', 'with wide characters croaks';
    is(link_text($file), 'EINVAL', 'readlink of a file: EINVAL');
    is(link_text("$dir/none"), 'ENOENT', 'of a missing file: ENOENT');
    my ($errno, @got) = run_req { aio_readlink $file, $_[0] };
    is(scalar @got, 0, 'a failed readlink has no argument');

    # rename
    succeeds { aio_rename "$dir/hard", "$dir/renamed", $_[0] } 'rename';
    ok(-e "$dir/renamed" && !-e "$dir/hard", 'has the new name');
    write_file "$dir/over", 'old';
    succeeds { aio_rename "$dir/renamed", "$dir/over", $_[0] } 'over a file';
    is(read_file("$dir/over"), 'data', 'replaces it');
    mkdir "$dir/d1";
    mkdir "$dir/d2";
    succeeds { aio_rename "$dir/d1", "$dir/d2", $_[0] } 'a directory over an empty one';
    succeeds { aio_rename "$dir/d2", "$dir/d2", $_[0] } 'to itself';
    for (
        ['ENOENT',    'a missing file',           "$dir/none", "$dir/x"],
        ['ENOENT',    'to a missing directory',   $file,       "$dir/none/x"],
        ['EISDIR',    'a file over a directory',  $file,       "$dir/d2"],
        ['ENOTDIR',   'a directory over a file',  "$dir/d2",   $file],
        ['EINVAL',    'a directory into itself',  "$dir/d2",   "$dir/d2/x"],
        ['ENOTEMPTY EEXIST', 'over a full directory', "$dir/d2", $dir],
        )
    {
        my ($want, $name, $from, $to) = @$_;
        fails_with { aio_rename $from, $to, $_[0] } $want, "rename $name: $want";
    }

    # a directory that may not be written
    my $private = "$dir/private";
    mkdir $private, 0755 or die "mkdir: $!";
    write_file "$private/file";
    mkdir "$private/dir";
    my %denied = (
        unlink  => sub { aio_unlink "$private/file", $_[0] },
        mknod   => sub { aio_mknod "$private/x", S_IFIFO | 0600, 0, $_[0] },
        symlink => sub { aio_symlink 'x', "$private/x", $_[0] },
        rename  => sub { aio_rename "$private/file", "$private/x", $_[0] },
        mkdir   => sub { aio_mkdir "$private/x", 0755, $_[0] },
        rmdir   => sub { aio_rmdir "$private/dir", $_[0] },
    );
    chmod 0555, $private;
    my @denied = as_nobody {
        map { my ($errno, @got) = &run_req($denied{$_}); "$_: @got " . errno_name($errno) } sort keys %denied;
    };
    is_deeply(\@denied, [map "$_: -1 EACCES", sort keys %denied], 'in a directory without permission: EACCES');
    chmod 0755, $private;

    # kinds of names
    my $odd = fresh_dir;
    my @name = (
        [newline   => "a\nb\n"],
        [spaces    => '  a  '],
        [octets    => join '', map chr, 1 .. 46, 48 .. 250],
        [Latin     => "\xe9\xff"],
        [dash      => '-rf'],
        [long      => 'n' x 255],
        [number    => 17],
        [float     => 1.5],
        [zero      => 0],
    );
    for (@name) {
        my ($what, $name) = @$_;
        succeeds { aio_mkdir "$odd/$name", 0755, $_[0] } "a name: $what";
        is_deeply([names_in $odd], [$name], 'arrives as it is');
        my $upgraded = "$odd/$name";
        utf8::upgrade($upgraded);
        succeeds { aio_rmdir $upgraded, $_[0] } 'upgraded it is the same name';
    }
    ok(chdir $odd, 'relative names');
    write_file '0';
    write_file '17';
    succeeds { aio_unlink 17, $_[0] } 'a number is a relative name';
    succeeds { aio_unlink 0, $_[0] } 'also 0';
    chdir '/';

    # names from scalars of all kinds
    my $make  = sub { write_file "$odd/x" };
    my $tied  = do { tie my $t, 'Tied', "$odd/x"; \$t };
    my %hash  = (path => "$odd/x");
    my @array = ("$odd/x");
    my $long  = "/$odd/x";
    my $cow   = my $copy = "$odd/x";
    my %scalar = (
        'a match variable' => sub { "<$odd/x>" =~ /<(.*)>/; aio_unlink $1, $_[0] },
        'a tied scalar'    => sub { aio_unlink $$tied, $_[0] },
        'a hash element'   => sub { aio_unlink $hash{path}, $_[0] },
        'an array element' => sub { aio_unlink $array[0], $_[0] },
        'a substr'         => sub { aio_unlink substr($long, 1), $_[0] },
        'a copy'           => sub { aio_unlink $copy, $_[0] },
        'a temporary'      => sub { aio_unlink "$odd/" . lc 'X', $_[0] },
        'a constant'       => sub { local $_ = $odd; chdir $_; aio_unlink 'x', $_[0] },
        'a chopped string' => sub { my $s = "123$odd/x"; $s =~ s/^123//; aio_unlink $s, $_[0] },
    );
    for my $kind (sort keys %scalar) {
        $make->();
        succeeds { $scalar{$kind}->($_[0]) } "a path in $kind";
    }
    chdir '/';
    is((tied $$tied)->{fetched}, 1, 'a tied scalar is fetched once');
    is((tied $$tied)->{stored},  0, 'and not stored');
    for my $request (sub { aio_stat $_[0] }, sub { aio_truncate $_[0], 0 }, sub { aio_move $_[0], "$odd/none/x" }) {
        (tied $$tied)->{fetched} = 0;
        $request->($$tied);
        is((tied $$tied)->{fetched}, 1, 'nor is it fetched twice where it may be a handle, or is moved');
        IO::AIO::flush;
    }

    # references
    ours {
        my %named = (
            'a string'                 => bless(\(my $a_name = 'x'), 'Named'),
            'wide octets'              => bless(\(my $upgraded = do { my $s = "\xe9"; utf8::upgrade($s); $s }), 'Named'),
            'a number, when it has no string' => bless(\(my $number = 17), 'Numbered'),
        );
        chdir $odd;
        for my $as (sort keys %named) {
            my $name = ${ $named{$as} };
            utf8::downgrade($name);
            write_file $name;
            succeeds { aio_chmod $named{$as}, 0600, $_[0] } "an object names a file as $as";
            succeeds { aio_unlink [IO::AIO::CWD, $named{$as}], $_[0] } 'also below a working directory';
            ok(!-e $name, 'that is what was removed');
        }
        # (perl believes that the class of these overloads something, since others do)
        for (['a handle' => *STDIN{IO}], ['an object without string' => bless [], 'Compared'], ['a scalar' => \'x']) {
            my ($what, $ref) = @$_;
            croaks { aio_unlink $ref } 'aio_unlink', "$what is no name";
            croaks { aio_link 'x', $ref } 'aio_link', 'nor a second one';
            croaks { aio_readdir [IO::AIO::CWD, $ref] } 'aio_readdir', 'nor below a working directory';
            croaks { IO::AIO::statx($ref, 0, 0) } qr/statx/, 'nor for statx';
        }
        chdir '/';
    } 'an object is no name';
    $make->();
    $path = "$odd/x";
    my $req = aio_unlink $path, sub { };
    $path =~ tr/a-z/A-Z/;
    undef $path;
    IO::AIO::flush;
    ok(!-e "$odd/x", 'a path is copied when the request is made');

    # undef is told of, at the line of the program or not at all
    {
        use warnings;
        my @warned;
        local $SIG{__WARN__} = sub { push @warned, @_ };
        aio_stat undef, sub { };
        aio_rename undef, undef, sub { };
        is(@warned, 3, 'an undefined path name: a warning for each');
        like($warned[0], qr/^Use of uninitialized value.* at \Q$0\E line/, 'that of perl');
        @warned = ();
        aio_copy undef, undef, sub { };
        aio_move undef, undef, sub { };
        aio_scandir undef, 0, sub { };
        IO::AIO::flush;
        is("@warned", '', 'none for composite requests');
    }

    # names that are refused
    write_file "$odd/cut", 'data';
    for my $name (sort keys %takes_path) {
        my $request = $takes_path{$name};
        my $status  = $name =~ /^(?:open|stat|lstat|readlink|readdir|scandir)$/ ? 0 : 1;
        for (['undef', undef], ['the empty name', '']) {
            my ($what, $path) = @$_;
            next if $name =~ /^(?:link|rename|move)$/;    # those add to the name
            my ($errno, @got) = run_req { $request->($path, $_[0]) };
            is(errno_name($errno), 'ENOENT', "$name: $what: ENOENT");
            is("@got", -1, 'status -1') if $status;
        }
        ours {
            my ($errno, @got) = run_req { $request->("$odd/cut\0/x", $_[0]) };
            is(errno_name($errno), 'ENOENT', "$name: a NUL in the name: ENOENT");
            is("@got", -1, 'status -1') if $status;
        } 'cuts the name at the NUL';
        (my $function = "aio_$name") =~ s/2$//;
        ours {
            croaks { $request->("$odd/\x{263a}", sub { }) } $function, "$name: wide characters croak";
        } 'names another place in composites';
    }
    is_deeply([names_in $odd], ['cut'], 'nothing was touched');
    is(-s "$odd/cut", 4, 'nor changed');
    for my $ref ([], {}, \'x', sub { }, [1, 2, 3], qr/x/) {
        my $type = ref $ref;
        croaks { aio_unlink $ref, sub { } } 'aio_unlink', "a reference as a name croaks: $type";
    }
};

done;
