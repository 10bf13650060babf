# bench.mk: micro-benchmarks with Google Benchmark. The page checksum is the server side's, so
# this is the one program of ours outside the extension that sees the server's headers.

MICRO_BENCH := $(BUILD)/bench/micro

$(MICRO_BENCH): $(top)/bench/micro.cpp $(top)/extension/sender/page_checksum.cpp $(top)/bench/bench.mk \
                $(wildcard $(top)/protocol/*.h)
	@mkdir -p $(@D)
	$(call say,link) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_OUR_CXXFLAGS) -Wno-register $(HELPER_INCLUDES) \
	    -isystem $(shell $(PG_CONFIG) --includedir-server) -o $@ $(filter %.cpp,$^) -lbenchmark -lzstd -pthread

micro-bench: $(MICRO_BENCH)
	$(MICRO_BENCH) $(MICRO_BENCH_OPTIONS)

.PHONY: micro-bench
