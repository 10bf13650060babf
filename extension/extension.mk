# extension.mk: the server side, by PGXS, run in build/pgMAJOR with VPATH at the top of
# the sources (the top Makefile does so).

MODULE_big = pg_standby_clone
EXTENSION = extension/pg_standby_clone
DATA = $(patsubst $(VPATH)/%,%,$(wildcard $(VPATH)/sql/pg_standby_clone--*.sql))

SOURCES := $(patsubst $(VPATH)/%,%,$(filter-out %_test.cpp,\
             $(shell find $(VPATH)/extension -name '*.cpp' | sort)))
OBJS = $(SOURCES:.cpp=.o)

# With JIT enabled PGXS compiles each object again with clang and without our flags.
override with_llvm := no
SHLIB_LINK += -lstdc++ -lzstd

# What extension/session/build.h says of this build.
BUILD_SOURCES := $(shell find $(VPATH)/extension $(VPATH)/protocol -name '*.h' -o -name '*.cpp' | LC_ALL=C sort)
STANDBY_CLONE_BUILD := $(shell cat $(BUILD_SOURCES) | sha256sum | cut -c1-16)

# What is known of a server's insides is known of these.
MAJOR := $(shell $(PG_CONFIG) --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
ifeq (,$(filter 15 16 17 18 19,$(MAJOR)))
$(error PostgreSQL $(MAJOR) is not known: compare extension/pg/insides.cpp, extension/pg/compat.*, extension/catalogue/names.cpp and helper/disk/control_file.cpp with it, then name it in extension/extension.mk)
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# No C++ exceptions: an ereport(ERROR) jumps over frames and must find no destructor
# and no handler. The server's headers use `register` and unused parameters, so they
# are system headers to us.
# A static's initialiser that ereports leaves it as it was; a guard with a lock would stay taken for ever.
OUR_CXXFLAGS = -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics -Wall -Wextra -Wno-register $(WERROR)
ifneq (,$(findstring clang,$(CXX)))
OUR_CXXFLAGS += -Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-deprecated-volatile \
  -Wno-missing-designated-field-initializers
endif
SERVER_INCLUDE := $(shell $(PG_CONFIG) --includedir-server)

$(OBJS): %.o: $(VPATH)/%.cpp $(VPATH)/extension/extension.mk
	@mkdir -p $(@D)
	@$(if $(V),,echo "compile $(patsubst $(VPATH)/%,%,$<)";) set -e$(if $(V),x); \
	$(CXX) $(CXXFLAGS) $(OUR_CXXFLAGS) $(CXXFLAGS_SL) $(CXXFLAGS_SL_MODULE) -isystem $(SERVER_INCLUDE) \
	    $(CPPFLAGS) -MMD -MP -c -o $@ $<

extension/session/build.o: CPPFLAGS += -DSTANDBY_CLONE_BUILD='"$(STANDBY_CLONE_BUILD)"'
extension/session/build.o: $(BUILD_SOURCES)

-include $(OBJS:.o=.d)
