# What developers do beside Makefile.PL's targets, which are for those who install:
#
#   make -f dev.mk bench       measures every workload against its peers, in several surroundings, prints tables and
#                              draws bench.svg; BENCH="--cell slow --rounds 3" and more: see bench/run
#   make -f dev.mk asan        t/ with AddressSanitizer and UBSan
#   make -f dev.mk tsan        t/ with ThreadSanitizer
#   make -f dev.mk debugperl   t/ under a perl that checks itself and what it is given (Debian's perl-debug)
#   make -f dev.mk minimal     t/ with every optional feature left out
#   make -f dev.mk cover       which lines of the C code the tests reach; fails when they are too few, or
#                              when one is missed that inc/uncovered.txt does not name
#   make -f dev.mk leakcheck   libeio's tests and t/ under valgrind: wrong uses of memory, and what is lost for good
#
# All but bench and leakcheck build a copy of the sources in a folder build-*, so that objects do not get mixed up
# with the ordinary ones.
PERL ?= perl
CC := $(shell $(PERL) -MConfig -e 'print $$Config{cc}')
RUN_TESTS = $(PERL) script/run-tests

all:
	@sed -n '3,12s/^# \{0,1\}//p' dev.mk

Makefile: Makefile.PL
	$(PERL) Makefile.PL

built: Makefile
	$(MAKE) -f Makefile

copy-%: Makefile
	$(MAKE) -f Makefile distdir DISTVNAME=build-$*

bench: built
	$(PERL) -Mblib bench/run $(BENCH)

# asan and tsan run under the stock perl, into which the runtime is preloaded; perl itself leaks on purpose, and tests
# ask for more memory than there is. Where tsan ends with `unexpected memory mapping` (gcc 12 where vm.mmap_rnd_bits
# is above 28): setarch -R make -f dev.mk tsan.
asan: copy-asan
	cd build-asan && $(PERL) Makefile.PL SAN=address,undefined OPTIMIZE="-O1 -g" && $(MAKE) -f Makefile
	cd build-asan && AIOTEST_LIMIT=280 ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 $(RUN_TESTS) \
	  --preload "`$(CC) -print-file-name=libasan.so` `$(CC) -print-file-name=libubsan.so`" t/*.t

tsan: copy-tsan
	cd build-tsan && $(PERL) Makefile.PL SAN=thread OPTIMIZE="-O1 -g" && $(MAKE) -f Makefile
	cd build-tsan && AIOTEST_LIMIT=280 TSAN_OPTIONS=allocator_may_return_null=1:die_after_fork=0:suppressions="$$PWD/inc/tsan.supp" \
	  $(RUN_TESTS) --preload "`$(CC) -print-file-name=libtsan.so`" t/*.t

minimal: copy-minimal
	cd build-minimal && $(PERL) Makefile.PL WITHOUT=all && $(MAKE) -f Makefile
	cd build-minimal && $(RUN_TESTS) t/*.t

cover: copy-cover
	cd build-cover && $(PERL) Makefile.PL COVERAGE=1 OPTIMIZE=-g && $(MAKE) -f Makefile
	cd build-cover && $(MAKE) -C libeio tests VARIANT= COVERAGE=1
	-cd build-cover && $(RUN_TESTS) `ls libeio/build/test/* | grep -v '\.gc'` t/*.t
	cd build-cover && $(PERL) inc/cover.pl

debugperl: copy-debugperl
	cd build-debugperl && debugperl Makefile.PL OPTIMIZE="-O1 -g -DDEBUGGING" && $(MAKE) -f Makefile
	cd build-debugperl && debugperl script/run-tests t/*.t

# Without the ring: valgrind 3.19 itself fails when a child of a fork maps a new one. Coro has losses of its own.
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite \
  --errors-for-leak-kinds=definite --num-callers=30 --suppressions=inc/valgrind.supp
LEAKCHECK = PERL_DESTRUCT_LEVEL=2 AIOTEST_ENGINE=sync,pool AIOTEST_LIMIT=900 $(RUN_TESTS) --timeout 1000

leakcheck: built
	$(MAKE) -C libeio valgrind
	$(LEAKCHECK) --under "$(VALGRIND)" `ls t/*.t | grep -v coro`
	$(LEAKCHECK) --under "$(VALGRIND) --suppressions=inc/valgrind-coro.supp" t/*coro*.t

.PHONY: all built bench asan tsan minimal debugperl cover leakcheck
