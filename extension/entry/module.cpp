// module.cpp: the library's magic block and its start in each process.
#include "extension/pg/server.h"
#include "extension/session/settings.h"

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) { settings::define(); }
