# helper.mk: the program on the standby host, and the unit tests. No server include path
# here: the helper cannot see postgres.h even by accident.
#
# VARIANT=asan and VARIANT=tsan build the same with sanitizers, beside each other.

VARIANT ?=
HELPER_BUILD := $(BUILD)/helper$(if $(VARIANT),-$(VARIANT))
HELPER := $(HELPER_BUILD)/pg_standby_clone
UNIT_TESTS := $(HELPER_BUILD)/unit_tests

# NO_MEMORY_FIGURES: what measures memory has no meaning then.
HELPER_SANITIZE_asan := -DNO_MEMORY_FIGURES -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HELPER_SANITIZE_tsan := -DNO_MEMORY_FIGURES -fsanitize=thread -fno-omit-frame-pointer
# g++ warns of its own library when it instruments it.
HELPER_SANITIZE := $(HELPER_SANITIZE_$(VARIANT)) \
  $(if $(VARIANT),$(if $(findstring clang,$(CXX)),,-Wno-maybe-uninitialized))

PKG_CONFIG ?= pkg-config
HELPER_INCLUDES := -I$(top) $(shell $(PKG_CONFIG) --cflags libpq 2>/dev/null || echo -I`$(PG_CONFIG) --includedir 2>/dev/null`)
HELPER_CXXFLAGS ?= -O2 -g
# Where --start looks for pg_ctl, among other places.
HELPER_INCLUDES += -DSERVER_BINARIES='"$(shell $(PG_CONFIG) --bindir 2>/dev/null)"'
HELPER_OUR_CXXFLAGS := -std=c++20 -Wall -Wextra $(WERROR) -pthread $(HELPER_SANITIZE)
HELPER_LIBS := -lpq -lzstd -lfmt -lcrypto -pthread

HELPER_SOURCES := $(patsubst $(top)/%,%,$(shell find $(top)/helper -mindepth 2 -name '*.cpp' | sort))
# Those that take longest first.
HELPER_TESTS := $(patsubst $(top)/%,%,$(wildcard $(top)/protocol/*_test.cpp)) $(filter %_test.cpp,$(HELPER_SOURCES))
HELPER_ROOMS := $(filter-out %_test.cpp,$(HELPER_SOURCES))
EXTENSION_TESTED := extension/catalogue/names.cpp \
  $(addprefix extension/sender/,compression_level.cpp gentle_pace.cpp page_checksum.cpp)
EXTENSION_TESTS := extension/catalogue/names_test.cpp $(addprefix extension/changes/,merge_test.cpp packer_test.cpp) \
  $(addprefix extension/sender/,relation_map_test.cpp compression_level_test.cpp gentle_pace_test.cpp \
    page_checksum_test.cpp) extension/session/order_test.cpp

objects_of_files = $(patsubst %.cpp,$(HELPER_BUILD)/%.o,$(1))
# A room (folder) is compiled as one, its tests likewise: the headers, most of the work, are read once. BY_FILE=1
# compiles each file by itself, which proves that each includes what it uses.
rooms_of = $(if $(1),$(firstword $(1)) $(call rooms_of,$(filter-out $(firstword $(1)),$(1))))
objects_of_rooms = $(patsubst %/,$(HELPER_BUILD)/rooms/%$(2).o,$(call rooms_of,$(dir $(1))))
ifdef BY_FILE
objects_of_rooms = $(objects_of_files)
endif
ROOM_OBJECTS := $(call objects_of_rooms,$(HELPER_ROOMS))
MAIN_OBJECTS := $(call objects_of_files,helper/main.cpp)
TEST_OBJECTS := $(call objects_of_rooms,$(HELPER_TESTS),_test) $(call objects_of_files,$(EXTENSION_TESTS) $(EXTENSION_TESTED))

# V=1 shows the commands.
say = @$(if $(V),,echo "$(1) $(patsubst $(top)/%,%,$(if $(filter link,$(1)),$@,$<))";) set -e$(if $(V),x);

helper: $(HELPER)

$(HELPER): $(MAIN_OBJECTS) $(ROOM_OBJECTS)
	$(call say,link) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_SANITIZE) $(LDFLAGS) -o $@ $^ $(HELPER_LIBS)

$(UNIT_TESTS): $(TEST_OBJECTS) $(ROOM_OBJECTS)
	$(call say,link) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_SANITIZE) $(LDFLAGS) -o $@ $^ -lgtest -lgtest_main $(HELPER_LIBS)

compile = $(call say,compile) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_OUR_CXXFLAGS) $(HELPER_INCLUDES) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(HELPER_BUILD)/%.o: $(top)/%.cpp $(top)/helper/helper.mk
	@mkdir -p $(@D)
	$(compile)

$(HELPER_BUILD)/rooms/%.o: $(HELPER_BUILD)/rooms/%.cpp $(top)/helper/helper.mk
	$(compile)

# Written where the files that a room consists of are others than before.
write_room = @mkdir -p $(@D); printf '\#include "%s"\n' $(sort $(filter $*/%,$(1))) >$@.new; \
  if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

ifndef BY_FILE
$(ROOM_OBJECTS:.o=.cpp): $(HELPER_BUILD)/rooms/%.cpp: FORCE
	$(call write_room,$(HELPER_ROOMS))

$(filter $(HELPER_BUILD)/rooms/%,$(TEST_OBJECTS:.o=.cpp)): $(HELPER_BUILD)/rooms/%_test.cpp: FORCE
	$(call write_room,$(HELPER_TESTS))
endif

# What is of the server's pages needs the server's headers; it is in the unit tests alone.
$(call objects_of_files,extension/sender/page_checksum.cpp extension/sender/page_checksum_test.cpp): \
  HELPER_INCLUDES += -Wno-register -isystem $(shell $(PG_CONFIG) --includedir-server)

build-unit-tests: $(UNIT_TESTS)
unit-test: $(UNIT_TESTS)
	$(UNIT_TESTS) --gtest_brief=1

.PHONY: build-unit-tests FORCE
-include $(ROOM_OBJECTS:.o=.d) $(MAIN_OBJECTS:.o=.d) $(TEST_OBJECTS:.o=.d)
