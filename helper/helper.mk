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

HELPER_SOURCES := $(patsubst $(top)/%,%,$(shell find $(top)/helper -name '*.cpp' | sort))
HELPER_TESTS := $(filter %_test.cpp,$(HELPER_SOURCES)) extension/catalogue/names_test.cpp \
  $(addprefix extension/changes/,merge_test.cpp packer_test.cpp) \
  $(addprefix extension/sender/,relation_map_test.cpp compression_level_test.cpp gentle_pace_test.cpp \
    page_checksum_test.cpp) \
  extension/session/order_test.cpp \
  $(patsubst $(top)/%,%,$(wildcard $(top)/protocol/*_test.cpp))
HELPER_ROOMS := $(filter-out %_test.cpp helper/main.cpp,$(HELPER_SOURCES))
HELPER_MAIN := $(filter helper/main.cpp,$(HELPER_SOURCES))

helper_objects = $(patsubst %.cpp,$(HELPER_BUILD)/%.o,$(1))
ROOM_OBJECTS := $(call helper_objects,$(HELPER_ROOMS))
MAIN_OBJECTS := $(call helper_objects,$(HELPER_MAIN))
TEST_OBJECTS := $(call helper_objects,$(HELPER_TESTS) extension/catalogue/names.cpp \
  $(addprefix extension/sender/,compression_level.cpp gentle_pace.cpp page_checksum.cpp))

# V=1 shows the commands.
say = @$(if $(V),,echo "$(1) $(patsubst $(top)/%,%,$(if $(filter link,$(1)),$@,$<))";) set -e$(if $(V),x);

helper: $(HELPER)

$(HELPER): $(MAIN_OBJECTS) $(ROOM_OBJECTS)
	$(call say,link) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_SANITIZE) $(LDFLAGS) -o $@ $^ $(HELPER_LIBS)

$(UNIT_TESTS): $(TEST_OBJECTS) $(ROOM_OBJECTS)
	$(call say,link) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_SANITIZE) $(LDFLAGS) -o $@ $^ -lgtest -lgtest_main $(HELPER_LIBS)

$(HELPER_BUILD)/%.o: $(top)/%.cpp $(top)/helper/helper.mk
	@mkdir -p $(@D)
	$(call say,compile) $(CXX) $(HELPER_CXXFLAGS) $(HELPER_OUR_CXXFLAGS) $(HELPER_INCLUDES) $(CPPFLAGS) -MMD -MP -c -o $@ $<

# What is of the server's pages needs the server's headers; it is in the unit tests alone.
$(call helper_objects,extension/sender/page_checksum.cpp extension/sender/page_checksum_test.cpp): \
  HELPER_INCLUDES += -Wno-register -isystem $(shell $(PG_CONFIG) --includedir-server)

build-unit-tests: $(UNIT_TESTS)
unit-test: $(UNIT_TESTS)
	$(UNIT_TESTS) --gtest_brief=1

.PHONY: build-unit-tests
-include $(ROOM_OBJECTS:.o=.d) $(MAIN_OBJECTS:.o=.d) $(TEST_OBJECTS:.o=.d)
