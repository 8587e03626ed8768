package IO::AIO::Tool::Copy;

# cp, mv and sync. All make one tree like another one: an entry is looked at, and what has its name in the target; then it is
# made under a name of its own and renamed, so that no name leads to a part of a file. A directory counts what is on its way
# below it, and gets its attributes when all is there.

use strict;
use warnings;

our $VERSION = '5.0';

use IO::AIO::Tool;
use IO::AIO qw(:DEFAULT aio_lutime aio_lchown);

my ($syncs, $dry);
my $temps = 0;
my %first;    # files with several names: "device:inode" => the copy's name, or functions that wait for it

# ---- the verbs -----------------------------------------------------------------------------------

sub cp {
    my (@paths) = @_;
    $option{existing} //= 'replace';
    to_places(\&top, @paths);
    return;
}

sub mv {
    my (@paths) = @_;
    $option{existing} //= 'replace';
    to_places(\&move, @paths);
    return;
}

sub sync {
    my ($from, $to) = @_;
    $syncs = 1;
    $dry   = $option{'dry-run'} || $option{delete} && !$option{yes};
    job(sub {
        aio_stat $from, sub {
            return failed($from) if $_[0];
            return failed($from, 'Not a directory') unless -d _;
            top($from =~ s{/*\z}{/}r, $to =~ s{/*\z}{/}r);    # links are followed here
        };
    });
    return sub {
        print STDERR "aio sync: nothing was done yet: --yes does it\n" if $dry && !$option{'dry-run'};
    };
}

# Calls a function with each source and its name in the target, which has to be a directory if there are several.
sub to_places {
    my ($code, @sources) = @_;
    my $target = pop @sources;
    job(sub {
        aio_stat $target, sub {
            my $is_dir = !$_[0] && -d _;
            return failed($target, 'Not a directory') if !$is_dir && (@sources > 1 || !$_[0] && $target =~ m{/\z});
            for my $from (reverse @sources) {
                my $name = base($from);
                job(sub { $code->($from, $is_dir && length $name ? below($target, $name) : $target =~ s{(?<=.)/+\z}{}sr) });
            }
        };
    });
}

# The last part of a name, or nothing for the root, "." and "..".
sub base { my ($path) = @_; $path =~ m{([^/]+)/*\z} && $1 !~ /\A\.\.?\z/ ? $1 : '' }

sub dir_of { my ($path) = @_; $path =~ m{\A(.*?)/*[^/]+/*\z}s && length $1 ? $1 : $path =~ m{\A/} ? '/' : '.' }

# Copies an argument, unless it would be into itself; then calls back with the number of failures.
sub top {
    my ($from, $to, $done) = @_;
    real_name($from, sub {
        my ($source) = @_;
        defined $source or return failed($from);
        real_name($to, sub {
            my ($target) = @_;
            defined $target or return failed($to);
            return failed($to, "is the same as $from") if $source eq $target;
            return failed($to, "is inside of $from") if index("$target/", $source eq '/' ? '/' : "$source/") == 0;
            return failed($to, "has $from inside, which --delete would remove")
                if $option{delete} && index("$source/", $target eq '/' ? '/' : "$target/") == 0;
            copy_any($from, $to, { failed => 0, end => $done || sub { } });
        });
    });
}

# A name without links in it, but for its last part, if no slash follows that.
sub real_name {
    my ($path, $done) = @_;
    my $name = base($path);
    my $by_parent = sub { aio_realpath dir_of($path), sub { $done->(defined $_[0] ? below($_[0], $name) : undef) } };
    return $by_parent->() if length $name && $path !~ m{/\z};
    aio_realpath $path, sub { defined $_[0] || !length $name ? $done->($_[0]) : $by_parent->() };
}

# ---- one entry -----------------------------------------------------------------------------------

sub attributes {
    my @stat = stat _ or return;
    my %it;
    @it{qw(dev ino mode nlink uid gid rdev size)} = @stat[0 .. 7];
    @it{qw(atime mtime)} = ([$stat[8], IO::AIO::st_atimensec], [$stat[9], IO::AIO::st_mtimensec]);
    $it{kind} = $it{mode} & 0170000;
    return \%it;
}

use constant { DIR => 0040000, FILE => 0100000, LINK => 0120000 };

sub copy_any {
    my ($from, $to, $parent) = @_;
    $parent->{waiting}++;
    job(sub {
        aio_lstat $from, sub {
            return undone($from, $parent) if $_[0];
            my $it = attributes();
            $total{octets} += $it->{size} if $it->{kind} == FILE;
            return place($from, $to, $it, undef, $parent) if $parent->{is_new};
            my $look = $parent->{end} && $it->{kind} == DIR ? \&aio_stat : \&aio_lstat;    # the argument may be a link
            $look->($to, sub {
                return undone($to, $parent) if $_[0] && !$!{ENOENT};
                place($from, $to, $it, $_[0] ? undef : attributes(), $parent);
            });
        };
    });
}

sub undone {
    my ($path, $parent, $error) = @_;
    failed($path, $error);
    $parent->{failed}++;
    done($parent);
}

sub done {
    my ($node) = @_;
    --$node->{waiting} and return;
    return $node->{end}->($node->{failed}) if $node->{end};
    finish_dir($node);
}

# Decides what becomes of what is there.
sub place {
    my ($from, $to, $it, $old, $parent) = @_;
    my $is_dir  = $it->{kind} == DIR;
    my $was_dir = $old && $old->{kind} == DIR;
    return undone($to, $parent, "is the same file as $from") if $old && $old->{dev} == $it->{dev} && $old->{ino} == $it->{ino};
    if ($old && !($is_dir && $was_dir)) {
        my $existing = $option{existing} // 'replace';
        return $count{skipped}++, done($parent) if $existing eq 'skip';
        return undone($to, $parent, 'File exists') if $existing eq 'fail';
        return undone($to, $parent, 'Is a directory') if $was_dir && !($syncs && $option{delete});
        return undone($to, $parent, 'Not a directory') if $is_dir && !$syncs;
        if ($was_dir || $is_dir) {    # nothing can be renamed over it
            $parent->{waiting}++;
            return remove($to, $was_dir, $parent, sub { place($from, $to, $it, undef, $parent); done($parent) });
        }
    }
    return copy_dir($from, $to, $it, $old, $parent) if $is_dir;
    return link_to_first($from, $to, $it, $old, $parent) if $it->{nlink} > 1 && $it->{kind} == FILE;
    make($from, $to, $it, $old, $parent, sub { });
}

# Are both the same, as far as sync looks?
sub is_same {
    my ($it, $old) = @_;
    return $syncs && $old && $it->{kind} == $old->{kind} && $it->{size} == $old->{size} && $it->{rdev} == $old->{rdev}
        && "@{ $it->{mtime} }" eq "@{ $old->{mtime} }";
}

sub has_same_rights { my ($it, $old) = @_; !grep $it->{$_} != $old->{$_}, qw(mode uid gid) }

# Copies what is no directory, then calls $then with whether it is there.
sub make {
    my ($from, $to, $it, $old, $parent, $then) = @_;
    my $end = sub { my ($is_there) = @_; $then->($is_there); done($parent) };
    if (is_same($it, $old)) {
        $count{unchanged}++;
        $total{octets} -= $it->{size} if $it->{kind} == FILE;
        return $end->(1) if $it->{kind} == LINK || has_same_rights($it, $old) || $dry;
        return set_attributes($to, $it, sub { $end->(1) });
    }
    did('copy', $to);
    counted($it), return $end->(1) if $dry;
    my $temp = temp_name($to);
    my $made = sub {
        return made($temp, $to, sub { counted($it); $end->(1) }, sub { $parent->{failed}++; $end->(0) }) if !$_[0];
        delete $active{$temp};
        $parent->{failed}++;
        failed($it->{kind} == FILE && !$!{ENOSPC} ? $from : $to);
        $end->(0);
    };
    if ($it->{kind} == FILE) {
        $active{$temp} = aio_copy $from, $temp, $made;
    } elsif ($it->{kind} == LINK) {
        aio_readlink $from, sub {
            my $text = shift // return $made->(-1);
            $active{$temp} = aio_symlink $text, $temp, sub { $_[0] ? $made->(-1) : set_attributes($temp, $it, sub { $made->(0) }) };
        };
    } else {
        $active{$temp} = aio_mknod $temp, $it->{kind} | 0600, $it->{rdev}, sub {
            $_[0] ? $made->(-1) : set_attributes($temp, $it, sub { $made->(0) });
        };
    }
}

sub counted {
    my ($it) = @_;
    $count{ { FILE, 'files', LINK, 'links' }->{ $it->{kind} } || 'others' }++;
    $count{octets} += $it->{size} if $it->{kind} == FILE;
}

sub temp_name { my ($to) = @_; below(dir_of($to), ".aio-$$-" . ++$temps) }

# Gives what was made its name.
sub made {
    my ($temp, $to, $then, $else) = @_;
    $active{$temp} = aio_rename $temp, $to, sub {
        if (!$_[0]) {
            delete $active{$temp};
            delete $total{partial}{$temp};
            return $then->();
        }
        failed($to);
        aio_unlink $temp, sub { delete $active{$temp}; $else->() };
    };
}

# A file with several names is copied once, and linked; who comes meanwhile waits.
sub link_to_first {
    my ($from, $to, $it, $old, $parent) = @_;
    my $key = "$it->{dev}:$it->{ino}";
    if (!exists $first{$key}) {
        $first{$key} = [];
        return make($from, $to, $it, $old, $parent, sub {
            my ($is_there) = @_;
            my $waiting = $first{$key};
            $is_there ? ($first{$key} = $to) : delete $first{$key};
            $_->() for @$waiting;
        });
    }
    if (ref $first{$key}) {
        push @{ $first{$key} }, sub { link_to_first($from, $to, $it, $old, $parent) };
        return;
    }
    $total{octets} -= $it->{size};
    my $end = sub { $count{files}++; done($parent) };
    return did('link', $to), $end->() if $dry;
    my $temp = temp_name($to);
    $active{$temp} = aio_link $first{$key}, $temp, sub {
        if ($_[0]) {
            delete $active{$temp};
            return undone($to, $parent);
        }
        # If both names lead to the same file, rename does nothing.
        made($temp, $to, sub { did('link', $to); aio_unlink $temp, $end }, sub { $parent->{failed}++; done($parent) });
    };
}

sub did {
    my ($what, $path) = @_;
    return unless $dry || $option{verbose};
    return object(type => $what, path => $path) if $option{json};
    out("$what " . ($option{null} ? "$path\0" : IO::AIO::Tool::shown($path) . "\n"));
}

# Owner before mode, since a change of owner takes bits away. Only the system's administrator may give files away.
sub set_attributes {
    my ($path, $it, $then) = @_;
    aio_lchown $path, $it->{uid}, $it->{gid}, sub {
        my $mode = $it->{mode} & ($_[0] ? 01777 : 07777);
        my $times = sub { aio_lutime $path, $it->{atime}, $it->{mtime}, sub { $then->($_[0]) } };
        return $times->() if $it->{kind} == LINK;
        aio_chmod $path, $mode, $times;
    };
}

# ---- directories ---------------------------------------------------------------------------------

sub copy_dir {
    my ($from, $to, $it, $old, $parent) = @_;
    my $node = { to => $to, it => $it, old => $old, parent => $parent, waiting => 1, failed => 0, is_new => !$old };
    $node->{device} = $parent->{device} // $it->{dev};
    my $fill = sub {
        $count{directories}++;
        my $is_left = $option{'one-file-system'} && $it->{dev} != $node->{device};
        $is_left ? done($node) : fill_dir($from, $to, $node);
    };
    return $fill->() if $old;
    did('mkdir', $to);
    return $fill->() if $dry;
    aio_mkdir $to, 0700, sub { $_[0] ? undone($to, $parent) : $fill->() };
}

sub fill_dir {
    my ($from, $to, $node) = @_;
    aio_scandir $from, 0, sub {
        my ($dirs, $others) = @_;
        $dirs or return undone($from, $node);
        my $copy = sub { copy_any(below($from, $_), below($to, $_), $node) for @$dirs, @$others; done($node) };
        return $copy->() unless $option{delete} && $node->{old};
        my %is_here = map { $_ => 1 } @$dirs, @$others;
        aio_scandir $to, 0, sub {
            my @have = @_ or return undone($to, $node);
            for my $i (0, 1) {
                for my $name (grep !$is_here{$_}, @{ $have[$i] }) {
                    $node->{waiting}++;
                    job(sub { remove(below($to, $name), !$i, $node, sub { $count{deleted}++; done($node) }) });
                }
            }
            $copy->();
        };
    };
}

# Removes an entry of the target; then calls back, or counts it as undone.
sub remove {
    my ($path, $is_dir, $node, $then) = @_;
    did('delete', $path);
    return $then->() if $dry;
    my $removed = sub {
        delete $active{$path};
        $_[0] ? undone($path, $node) : $then->();
    };
    return aio_unlink $path, $removed unless $is_dir;
    my $begin = sub { $active{$path} = aio_rmtree $path, $removed };
    return $begin->() unless $option{'one-file-system'};
    other_device($path, $node->{old} ? $node->{old}{dev} : undef, sub {
        defined $_[0] ? undone($path, $node, "has another file system inside") : $begin->();
    });
}

# Looks for a directory of another file system; calls back with one, or undef.
sub other_device {
    my ($top, $device, $done) = @_;
    my ($waiting, $found) = (0);
    my $visit;
    $visit = sub {
        my ($dir) = @_;
        $waiting++;
        job(sub {
            aio_lstat $dir, sub {
                $found //= $dir if !$_[0] && (lstat _)[0] != $device;
                aio_scandir $dir, 0, sub {
                    my ($dirs) = @_;
                    if (!defined $found) { $visit->("$dir/$_") for @{ $dirs || [] } }
                    $done->($found), undef $visit unless --$waiting;
                };
            };
        });
    };
    $visit->($top);
}

sub finish_dir {
    my ($node) = @_;
    my $parent = $node->{parent};
    $parent->{failed} += $node->{failed};
    return done($parent) if $dry;
    set_attributes($node->{to}, $node->{it}, sub {
        return done($parent) unless $_[0];
        undone($node->{to}, $parent);
    });
}

# ---- mv ------------------------------------------------------------------------------------------

sub move {
    my ($from, $to) = @_;
    my $replaces = $option{existing} eq 'replace';
    aio_rename2 $from, $to, $replaces ? 0 : IO::AIO::RENAME_NOREPLACE, sub {
        return moved($from, $to) if !$_[0];
        return present($to) if $!{EEXIST} && !$replaces;
        return across($from, $to) if $!{EXDEV};
        return failed($from) if $replaces || !$!{EINVAL} && !$!{ENOSYS};
        unless_there($to, sub { aio_rename $from, $to, sub { $_[0] ? failed($from) : moved($from, $to) } });
    };
}

sub moved {
    my ($from, $to) = @_;
    $count{moved}++;
    did('move', $to);
}

sub present {
    my ($to) = @_;
    $option{existing} eq 'skip' ? $count{skipped}++ : failed($to, 'File exists');
}

sub unless_there {
    my ($path, $then) = @_;
    aio_lstat $path, sub { $_[0] && $!{ENOENT} ? $then->() : $_[0] ? failed($path) : present($path) };
}

# To another file system: files and links by one request, the rest is copied and, when all is there, removed.
sub across {
    my ($from, $to) = @_;
    return unless_there($to, sub { move_across($from, $to) }) unless $option{existing} eq 'replace';
    move_across($from, $to);
}

sub move_across {
    my ($from, $to) = @_;
    aio_lstat $from, sub {
        return failed($from) if $_[0];
        my $it = attributes();
        if ($it->{kind} == FILE || $it->{kind} == LINK) {
            $active{$from} = aio_move $from, $to, sub {
                delete $active{$from};
                return failed($from) if $_[0];
                $count{octets} += $it->{size};
                moved($from, $to);
            };
            return;
        }
        aio_lstat $to, sub {
            return failed($to, 'File exists') if !$_[0] && $it->{kind} == DIR;
            top($from, $to, sub {
                my ($failed) = @_;
                return failed($from, 'left, since not all of it was copied') if $failed;
                my $gone = sub { $_[0] ? failed($from) : moved($from, $to) };
                $it->{kind} == DIR ? aio_rmtree($from =~ s{/+\z}{}r, $gone) : aio_unlink($from, $gone);
            });
        };
    };
}

1;
