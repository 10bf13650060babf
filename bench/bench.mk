# bench.mk: micro-benchmarks with Google Benchmark. The page checksum is the server side's, so
# this is the one program of ours outside the extension that sees the server's headers.

MICRO_BENCH := $(BUILD)/bench/micro

$(MICRO_BENCH): $(top)/bench/micro.cpp $(top)/extension/sender/page_checksum.cpp $(top)/bench/bench.mk \
                $(wildcard $(top)/protocol/*.h)
	@mkdir -p $(@D)
	$(call say,link) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_OUR_CXXFLAGS) -Wno-register $(HELPER_INCLUDES) \
	    -isystem $(shell $(PG_CONFIG) --includedir-server) -o $@ $(filter %.cpp,$^) -lbenchmark -lzstd -pthread

MANY_FILES_BENCH := $(BUILD)/bench/many_files

$(MANY_FILES_BENCH): $(top)/bench/many_files.cpp $(top)/helper/clone/many_files.h $(ROOM_OBJECTS) $(top)/bench/bench.mk
	@mkdir -p $(@D)
	$(call say,link) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_OUR_CXXFLAGS) $(HELPER_INCLUDES) -o $@ $< $(ROOM_OBJECTS) \
	    -lbenchmark $(HELPER_LIBS)

micro-bench: $(MICRO_BENCH) $(MANY_FILES_BENCH)
	$(MICRO_BENCH) $(MICRO_BENCH_OPTIONS)
	$(MANY_FILES_BENCH) $(MICRO_BENCH_OPTIONS)

.PHONY: micro-bench
